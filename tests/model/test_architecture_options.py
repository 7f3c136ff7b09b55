"""Options of an architecture, alone and in pairs: built and forecast to the last FLOP, parameter and byte, or refused
where the table says so.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pld_search.costs.flops import step_flops
from pld_search.costs.forward import Forward
from pld_search.costs.layer import block_bytes
from pld_search.costs.parameters import parameters_of
from pld_search.errors import Refused
from pld_search.model.build_model import masked_lm
from pld_search.model.transformers_config import config_of, spec_of
from pld_search.specs.architecture import REFUSED, Architecture
from pld_search.specs.architecture_options import SPARSE
from pld_search.specs.experiment import Batch, Data, Model
from tests.model.helpers import gates, gradients, inputs, model_of, randomise, spec

NOTHING = "sha256:" + "0" * 64
DATA = Data(corpus=NOTHING, tokenizer=NOTHING, length=20)
LOCAL = {"local": 8, "global_every": 2}
OPTIONS: dict[str, dict[str, Any]] = {
    "post": {"norm": "post"},
    "sandwich": {"norm": "sandwich"},
    "alibi": {"positions": "alibi"},
    "rope": {"positions": "rope"},
    "rope base": {"positions": "rope", "rope_base": 500.0},
    "geglu": {"feed_forward": "geglu"},
    "swiglu": {"feed_forward": "swiglu"},
    "relu2": {"feed_forward": "relu2"},
    "rms": {"norm_kind": "rms"},
    "no bias": {"bias": False},
    "norms biased": {"bias": "norms"},
    "qk norm": {"qk_norm": True},
    "local": {"attention": LOCAL},
    "untied": {"tie_embeddings": False},
    "depth scaled": {"depth_scaled_norm": True},
    "no types": {"token_types": False},
    "no first norm": {"first_norm": False},
}
PAIRS = [
    (one, other)
    for one, other in itertools.combinations(OPTIONS, 2)
    if not any(OPTIONS[one][key] != OPTIONS[other][key] for key in OPTIONS[one].keys() & OPTIONS[other].keys())
]
CLASHES = {
    frozenset(("depth scaled", "post")),
    frozenset(("depth scaled", "sandwich")),
    frozenset(("no first norm", "post")),
}
"""Written down a second time: what means nothing together."""


def counted(model: Model, sequences: int) -> int:
    network = masked_lm(model).train()
    ids = torch.randint(0, model.vocabulary, (sequences, DATA.length))
    positions = torch.arange(DATA.predictions(DATA.final_length)).expand(sequences, -1)
    counter = FlopCounterMode(display=False)
    with counter, sdpa_kernel(SDPBackend.MATH):
        network(ids, positions=positions, labels=ids.gather(1, positions), gates=gates("101", 2.0)).loss.backward()
    return int(counter.get_total_flops())


def kept_bytes(model: Model, layers: int) -> int:
    """What autograd keeps of one forward pass in fp32, parameters apart."""
    network = masked_lm(model.model_copy(update={"layers": layers})).train()
    own = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    seen: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in own and tensor.ndim:
            seen[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network(torch.randint(0, model.vocabulary, (4, DATA.length)), labels=torch.zeros(4, DATA.length).long())
    return sum(tensor.untyped_storage().nbytes() for tensor in seen.values())


@pytest.mark.parametrize(("one", "other"), [*((name, name) for name in OPTIONS), *PAIRS])
def test_every_pair_is_built_and_forecast_or_refused(one: str, other: str) -> None:
    changes = OPTIONS[one] | OPTIONS[other]
    if frozenset((one, other)) in CLASHES:
        with pytest.raises(ValidationError) as caught:
            spec(**changes)
        (only,) = caught.value.errors()
        refused = only["ctx"]["error"]
        assert isinstance(refused, Refused) and len(refused.reasons) == 1
        assert str(next(iter(changes.keys() - {"norm"}))) == refused.reasons[0].path[0]
        assert f"`norm: {changes['norm']}`" in refused.reasons[0].why
        return
    model = spec(dropout=0.1, attention_dropout=0.1, **changes)
    assert spec_of(config_of(model), None) == model
    assert sum(parameter.numel() for parameter in masked_lm(model).parameters()) == parameters_of(model)
    forecast = step_flops(model, DATA, Batch(sequences=6))
    assert counted(model, 6) == 2 * forecast.block + forecast.head + forecast.rest
    of = Forward(model, 4, DATA.length, DATA.length, False, False)
    assert kept_bytes(model, 3) - kept_bytes(model, 2) == block_bytes(of)


def test_the_pairs_are_all_there_are() -> None:
    stated = {key for changes in OPTIONS.values() for key in changes}
    assert stated == {*SPARSE, "norm", "positions"} and len(PAIRS) == 17 * 16 // 2 - 7


@pytest.mark.parametrize(
    ("changes", "path", "word"),
    [
        ({"rope_base": 500.0}, ("rope_base",), "positions: rope"),
        ({"attention": {**LOCAL, "rope_base": 500.0}}, ("attention", "rope_base"), "positions: rope"),
        ({"positions": "rope", "hidden": 36, "heads": 4}, ("positions",), "even"),
    ],
)
def test_rotations_need_rope_and_pairs(changes: dict[str, Any], path: tuple[str, ...], word: str) -> None:
    with pytest.raises(ValidationError) as caught:
        spec(**changes)
    (reason,) = caught.value.errors()[0]["ctx"]["error"].reasons
    assert reason.path == path and word in reason.why
    assert len(REFUSED) == len(CLASHES) + 3


def test_defaults_written_out_leave_the_digest_alone() -> None:
    written: dict[str, Any] = {
        "rope_base": None,
        "feed_forward": "gelu",
        "norm_kind": "layer",
        "bias": True,
        "qk_norm": False,
        "attention": "full",
        "tie_embeddings": True,
        "depth_scaled_norm": False,
        "token_types": True,
        "first_norm": True,
    }
    assert written.keys() == set(SPARSE)
    assert spec(**written) == spec() and spec(**written).model_dump(mode="json") == spec().model_dump(mode="json")
    assert not set(SPARSE) & spec().model_dump().keys()
    assert spec(positions="rope", rope_base=10_000.0) == spec(positions="rope")


def test_options_are_said_in_a_word_or_two() -> None:
    changes = {"feed_forward": "geglu", "norm_kind": "rms", "bias": False, "attention": LOCAL, "qk_norm": True}
    assert spec(**changes).said == ("geglu", "rms", "bias: false", "qk_norm: true", "local 8/2")
    assert spec().said == ()


@pytest.mark.parametrize(
    ("feed_forward", "hidden", "inner"),
    [("gelu", 96, 384), ("relu2", 96, 384), ("geglu", 96, 256), ("swiglu", 64, 176)],
)
def test_a_gate_costs_what_two_matrices_did(feed_forward: str, hidden: int, inner: int) -> None:
    found = Architecture(layers=1, hidden=hidden, heads=4, feed_forward=feed_forward)  # type: ignore[arg-type]
    assert found.inner_width == inner
    assert abs((3 if found.gated else 2) * inner * hidden / (8 * hidden**2) - 1) <= 0.04


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_changes_what_is_computed(name: str) -> None:
    batch = inputs()
    plain, other = model_of("pre"), masked_lm(spec(**OPTIONS[name])).train()
    randomise(other)
    shared = {
        key: tensor
        for key, tensor in plain.state_dict().items()
        if other.state_dict().get(key, tensor[:0]).shape == tensor.shape
    }
    other.load_state_dict(shared, strict=False)
    expected, found = plain(**batch), other(**batch)
    real = batch["attention_mask"].bool()
    assert (expected.logits[real] - found.logits[real]).abs().max() > 1e-3
    found.loss.backward()
    assert all(gradient.isfinite().all() for gradient in gradients(other).values())


def test_local_layers_see_their_neighbours_alone() -> None:
    model = masked_lm(spec(layers=2, positions="rope", attention={"local": 4, "global_every": 2})).eval()
    randomise(model)
    ids = inputs(batch=1)["input_ids"]
    states = torch.randn(1, 12, 32, requires_grad=True)
    second = model.bert.encoder.surroundings.of_layers(2, states, None)[1]
    out = model.bert.encoder.blocks[1](states, second)
    (seen,) = torch.autograd.grad(out[0, 6].sum(), states)
    assert seen[0].abs().sum(-1).nonzero().flatten().tolist() == [4, 5, 6, 7, 8]
    assert torch.isfinite(model(ids).logits).all()


def test_padding_far_from_tokens_does_no_harm() -> None:
    model = masked_lm(spec(positions="rope", attention={"local": 2, "global_every": 3})).eval()
    randomise(model)
    ids, mask = inputs(batch=1)["input_ids"], torch.tensor([[1] * 5 + [0] * 7])
    padded, alone = model(ids, attention_mask=mask).logits, model(ids[:, :5]).logits
    assert torch.isfinite(padded).all()
    torch.testing.assert_close(padded[:, :5], alone, rtol=1e-5, atol=1e-5)


def test_scores_depend_on_distances() -> None:
    """Rotary scores do not change when the whole sequence stands elsewhere: of the first six of twelve tokens that
    see only each other the last six are a copy.
    """
    model = masked_lm(spec(layers=1, positions="rope", attention={"local": 2, "global_every": 1}, max_length=1)).eval()
    randomise(model)
    half = inputs(batch=1)["input_ids"][:, :6]
    bands = torch.block_diag(torch.ones(6, 6), torch.ones(6, 6)).bool()[None, None]
    encoder, both = model.bert.encoder, torch.cat([half, half], 1)
    around = encoder.surroundings.of_layers(1, torch.zeros(1, 12, 32), None)[0]._replace(mask=bands)
    out = encoder.blocks[0](model.bert.embeddings(both, None), around)
    torch.testing.assert_close(out[:, :6], out[:, 6:], rtol=1e-5, atol=1e-5)
