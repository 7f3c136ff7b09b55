"""Compiled block by block: few graphs for every plan, and the values of the eager model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch.testing import assert_close

from pld_search.model.build_model import compile_blocks, masked_lm
from pld_search.schedules.plan import Gates, RowGates, SublayerGates
from tests.compiling import Graphs, fresh_compiler
from tests.model.helpers import inputs, randomise, spec

# Both are torch's own: it imports a function it deprecated, and its tracer looks at the .grad of activations.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"),
]

PLANS = [(True, True, True), (True, False, True), (False, True, True), (False, False, True), (True, True, False)]


@pytest.fixture(name="graphs")
def compiled_graphs() -> Iterator[Graphs]:
    with fresh_compiler() as graphs:
        yield graphs


def run_plans(backend: str, where: str) -> None:
    """Runs full depth and ten plans with ten different scales, and compares each with eager."""
    eager, compiled = masked_lm(spec()).train(), masked_lm(spec()).train()
    randomise(eager)
    randomise(compiled)
    compile_blocks(compiled, backend)
    batch = inputs()
    given = [None, *(Gates(keep, (1.0, 1.1 + 0.1 * i, 1.3 + 0.1 * i), where) for i, keep in enumerate(PLANS * 2))]  # type: ignore[arg-type]
    for gates in given:
        one, two = eager(**batch, gates=gates).loss, compiled(**batch, gates=gates).loss
        one.backward()
        two.backward()
        assert_close(two, one, rtol=1e-4, atol=1e-4)
    for mine, expected in zip(compiled.parameters(), eager.parameters(), strict=True):
        assert_close(mine.grad, expected.grad, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("where", "most"), [("sublayer", 2), ("block", 2), ("none", 1)])
def test_two_graphs_for_all_plans(where: str, most: int, graphs: Graphs) -> None:
    """Traced, not lowered: counting graphs needs no C++ compiler."""
    run_plans("eager", where)
    assert 1 <= graphs.count() <= most


def test_layers_of_all_places_share_their_graphs(graphs: Graphs) -> None:
    """Local and global layers, and norms scaled by depth; a first layer without a norm is another one."""
    changes = {"positions": "rope", "attention": {"local": 4, "global_every": 2}, "norm_kind": "rms", "qk_norm": True}
    for more, most in (({"depth_scaled_norm": True}, 2), ({"first_norm": False}, 4)):
        model = masked_lm(spec(layers=4, **changes, **more)).train()
        before = graphs.count()
        compile_blocks(model, "eager")
        for gates in (None, Gates((True,) * 4, (1.5,) * 4, "sublayer")):
            model(**inputs(), gates=gates).loss.backward()
        assert 1 <= graphs.count() - before <= most


def test_compiled_rotations_are_those_of_eager_blocks(graphs: Graphs) -> None:
    changes = {"positions": "rope", "feed_forward": "geglu", "norm_kind": "rms", "qk_norm": True, "bias": False}
    eager, compiled = (masked_lm(spec(**changes)).train() for _ in range(2))
    for model in (eager, compiled):
        randomise(model)
    compile_blocks(compiled, "eager")
    batch = inputs()
    one, two = eager(**batch).loss, compiled(**batch).loss
    one.backward()
    two.backward()
    assert_close(two, one, rtol=1e-5, atol=1e-5)
    for mine, expected in zip(compiled.parameters(), eager.parameters(), strict=True):
        assert_close(mine.grad, expected.grad, rtol=1e-5, atol=1e-5)
    assert graphs.count() == 1


@pytest.mark.parametrize(("unit", "most"), [("layer", 2), ("sublayer", 4)])
def test_few_graphs_for_any_number_of_rows(unit: str, most: int, graphs: Graphs) -> None:
    """Without and with a scale, for each part: the number of rows changes from plan to plan."""
    eager, compiled = masked_lm(spec()).train(), masked_lm(spec()).train()
    randomise(eager)
    randomise(compiled)
    compile_blocks(compiled, "eager", rows=True)
    batch = inputs(batch=7)
    for count in (2, 3, 4, 5, 6, 7):
        rows = RowGates((tuple(range(count)),) * 3, (1.0, 1.5, 1.0 + count / 10), "sublayer")
        given = rows if unit == "layer" else SublayerGates(rows, rows)
        assert_close(compiled(**batch, gates=given).loss, eager(**batch, gates=given).loss, rtol=1e-4, atol=1e-4)
    assert 1 <= graphs.count() <= most


@pytest.mark.soak
@pytest.mark.parametrize("where", ["sublayer", "block"])
def test_inductor_computes_the_same(where: str, graphs: Graphs) -> None:
    run_plans("inductor", where)
    assert graphs.count() == 2


def test_each_length_has_its_own_two_graphs(graphs: Graphs) -> None:
    """Trained at three lengths and evaluated at the last: within the 8 graphs of a block that torch keeps."""
    eager, compiled = masked_lm(spec()).train(), masked_lm(spec()).train()
    randomise(eager)
    randomise(compiled)
    compile_blocks(compiled, "eager")
    scaled, whole = Gates((True, False, True), (1.2, 1.0, 1.5), "sublayer"), inputs()
    for length in (6, 8, 12):
        batch = {
            "input_ids": whole["input_ids"][:, :1].repeat(1, length),
            "positions": torch.tensor([[1, 3]] * len(whole["input_ids"])),
        }
        for gates in (None, scaled, scaled, None):
            assert_close(
                compiled(**batch, gates=gates).logits, eager(**batch, gates=gates).logits, rtol=1e-4, atol=1e-4
            )
    assert 3 <= graphs.count() <= 6
    assert not graphs.breaks()
    with torch.no_grad():
        assert_close(compiled.eval()(**batch).logits, eager.eval()(**batch).logits, rtol=1e-4, atol=1e-4)
        assert_close(compiled(**batch, gates=scaled).logits, eager(**batch, gates=scaled).logits, rtol=1e-4, atol=1e-4)
    assert graphs.count() <= 8
