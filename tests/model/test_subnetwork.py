"""Which layers stay, and that the smaller network is the larger one with the others passed by."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pld_search.model.build_model import load_bert, masked_lm
from pld_search.model.subnetwork import evenly_kept, subnetwork
from pld_search.schedules.plan import Gates
from tests.model.helpers import gates, inputs, randomise, spec


@pytest.mark.parametrize("layers", [4, 6, 12, 16, 24])
def test_the_papers_rule_where_it_gives_the_number(layers: int) -> None:
    """ "Every other" of LayerDrop: at a pruning rate of 1/n the layers d = 0 (mod n) go."""
    rates = [n for n in range(2, layers + 1) if layers % n == 0]
    assert rates
    for n in rates:
        assert evenly_kept(layers, layers - layers // n) == tuple(d for d in range(1, layers + 1) if d % n)


def test_known_cases() -> None:
    assert evenly_kept(12, 9) == (1, 2, 3, 5, 6, 7, 9, 10, 11)
    # fairseq's example: --encoder-layers-to-keep 0,2,4,6,8,10,12,14
    assert evenly_kept(16, 8) == (1, 3, 5, 7, 9, 11, 13, 15)
    assert evenly_kept(12, 12) == tuple(range(1, 13))
    for wrong in (0, 13):
        with pytest.raises(ValueError, match="of 12"):
            evenly_kept(12, wrong)


@given(st.integers(1, 60).flatmap(lambda layers: st.tuples(st.just(layers), st.integers(1, layers))))
def test_as_many_as_asked_for_and_evenly_spaced(case: tuple[int, int]) -> None:
    layers, keep = case
    kept = evenly_kept(layers, keep)
    assert len(kept) == keep and list(kept) == sorted(set(kept)) and kept[0] >= 1 and kept[-1] <= layers
    gone = [0, *(layer for layer in range(1, layers + 1) if layer not in kept)]
    gaps = {later - earlier for earlier, later in pairwise(gone)}
    assert not gaps or max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_the_others_are_passed_by(norm: str) -> None:
    model = masked_lm(spec(norm=norm)).eval()
    randomise(model)
    batch = inputs()
    smaller = subnetwork(model, (1, 3))
    assert smaller.config.num_hidden_layers == 2 and model.config.num_hidden_layers == 3
    assert torch.equal(smaller(**batch).logits, model(**batch, gates=gates("101")).logits)
    assert not torch.equal(smaller(**batch).logits, model(**batch).logits)
    with torch.no_grad():
        model.head.bias.zero_()
    assert smaller.head.bias.any()


def test_it_scales_nothing() -> None:
    model = masked_lm(spec()).eval()
    randomise(model)
    model.config.full_depth = Gates((True,) * 3, (1.0, 0.7, 0.5), "block")
    smaller = subnetwork(model, (2, 3))
    assert smaller.config.full_depth is None and model.config.full_depth is not None
    assert torch.equal(smaller(**inputs()).logits, model(**inputs(), gates=gates("011")).logits)


def test_numbers_that_no_pruning_rate_reaches_are_spaced_evenly() -> None:
    """5 of 12 go, at 12/5 j rounded: 2.4, 4.8, 7.2, 9.6, 12."""
    assert evenly_kept(12, 7) == (1, 3, 4, 6, 8, 9, 11)


def test_layers_that_stay_keep_their_places(tmp_path: Path) -> None:
    """What they see, and how their norms are scaled; also after the network was saved and read."""
    changes = {"positions": "rope", "attention": {"local": 4, "global_every": 2}, "depth_scaled_norm": True}
    model = masked_lm(spec(**changes, first_norm=False)).eval()
    randomise(model)
    batch = inputs()
    smaller = subnetwork(model, (2, 3))
    expected = model(**batch, gates=gates("011")).logits
    assert torch.equal(smaller(**batch).logits, expected)
    smaller.save_pretrained(tmp_path)
    assert torch.equal(load_bert(tmp_path).eval()(**batch).logits, expected)
