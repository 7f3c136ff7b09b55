from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel

from pld_search.analysis.block_similarity import block_similarity
from pld_search.model.export_model import SpecialIds, write_plain
from tests.analysis.samples import sample, tokens
from tests.model.helpers import LAYERS, model_of


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "padded"])
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_similarity_is_a_plain_loop_over_hidden_states_of_the_export(norm: str, masked: bool, tmp_path: Path) -> None:
    model, chunk = model_of(norm).eval(), tokens(masked=masked)
    write_plain(model, tmp_path, SpecialIds(pad=3, cls=1, sep=2))
    theirs = AutoModel.from_pretrained(tmp_path, add_pooling_layer=False).eval()
    ids = torch.from_numpy(chunk.input_ids)
    mask = torch.from_numpy(np.ones_like(chunk.input_ids) if chunk.mask is None else chunk.mask)
    with torch.no_grad():
        states = theirs(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
    found = block_similarity(model, sample(chunk))

    assert len(states) == LAYERS + 1
    # transformers gives the last state of a pre-norm network after its last norm: what layer L made is not among them
    last = LAYERS if norm == "post" else LAYERS - 1
    distances, cosines, updates = [], [], []
    for layer in range(last):
        here: list[list[float]] = [[], [], []]
        for row, column in zip(*np.nonzero(mask.numpy()), strict=True):
            before, after = (states[layer + place][row, column].double() for place in (0, 1))
            here[0].append(float((after - before).norm()))
            here[1].append(float(before @ after / before.norm() / after.norm()))
            if layer + 1 < last:
                one, other = after - before, states[layer + 2][row, column].double() - after
                here[2].append(float(one @ other / one.norm() / other.norm()))
        distances.append(np.mean(here[0]))
        cosines.append(np.mean(here[1]))
        updates += [np.mean(here[2])] if here[2] else []
    assert found.distance[:last] == pytest.approx(distances, rel=1e-5)
    assert found.cosine[:last] == pytest.approx(cosines, abs=1e-5)
    assert found.updates[: last - 1] == pytest.approx(updates, abs=1e-5)
    assert [len(values) for values in (found.distance, found.cosine, found.updates)] == [LAYERS, LAYERS, LAYERS - 1]


def test_nothing_of_the_model_stays_watched() -> None:
    model = model_of("pre").eval()
    block_similarity(model, sample())
    assert all(not block._forward_hooks for block in model.blocks)
