"""The check of compiled dropout, on the CPU: eager and traced masks pass, and every corruption is seen."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pld_search.model.activation_checkpointing import run
from pld_search.model.dropout import dropout
from pld_search.records.run_record import fold_run
from pld_search.specs.execution import Execution
from pld_search.training import compiled_dropout, state
from pld_search.training.compiled_dropout import MaskProbe, compiled_fault, fault
from pld_search.training.train_run import train
from tests.compiling import fresh_compiler
from tests.training.conftest import Builder

Executor = Callable[..., Execution]

WIDTH, HEADS, P = 64, 4, 0.1
CPU = torch.device("cpu")


def forward(probe: nn.Module, recomputed: bool = False, dtype: torch.dtype | None = None) -> Callable[[Tensor], Tensor]:
    def call(x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=dtype) if dtype else nullcontext():
            return run(probe, recomputed, x)

    return call


@pytest.mark.parametrize("p", [0.1, 0.5])
@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
@pytest.mark.parametrize("recomputed", [False, True])
def test_eager_masks_have_no_fault(p: float, dtype: torch.dtype | None, recomputed: bool) -> None:
    before = torch.get_rng_state()
    assert fault(forward(MaskProbe(WIDTH, HEADS, p), recomputed, dtype), WIDTH, p, CPU) is None
    assert torch.equal(torch.get_rng_state(), before)


# both are torch's own, as in tests/model/test_compile.py
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.parametrize("recomputed", [False, True])
def test_a_traced_probe_has_no_fault(recomputed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_ = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self, **how: compile_(self, backend="aot_eager", **how))
    with fresh_compiler() as graphs:
        found = compiled_fault(WIDTH, HEADS, P, CPU, nullcontext, rows=False, recomputed=recomputed)
        assert graphs.count() > 0
    assert found is None


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_inductor_has_no_fault_on_a_cpu() -> None:
    with fresh_compiler():
        assert compiled_fault(WIDTH, HEADS, P, CPU, nullcontext, rows=False, recomputed=True) is None


class OtherMaskBackward(torch.autograd.Function):
    """Dropout whose backward pass draws its own mask, as a wrong recomputation does."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float) -> Tensor:
        ctx.p = p
        return nn.functional.dropout(x, p)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return nn.functional.dropout(gradients[0], ctx.p), None


def other_mask(x: Tensor, p: float) -> Tensor:
    dropped: Tensor = OtherMaskBackward.apply(x, p)  # type: ignore[no-untyped-call]
    return dropped


OTHER = torch.Generator().manual_seed(5)


def by_mask(mask_of: Callable[[Tensor, float], Tensor], scale: float = 1.0) -> Callable[[Tensor, float, bool], Tensor]:
    return lambda x, p, _: x * mask_of(x, p) * (scale / (1 - p))


def draw(shape: Any, p: float) -> Tensor:
    return (torch.rand(shape) >= p).float()


def one_word_off(x: Tensor, p: float, training: bool) -> Tensor:
    """A single value of the backward mask differs."""
    mask = draw(x.shape, p)
    back = mask.clone()
    back.view(-1)[7] = 1 - back.view(-1)[7]
    return (x * mask + (x - x.detach()) * (back - mask)) / (1 - p)


CORRUPTED: dict[str, tuple[Callable[[Tensor, float, bool], Tensor], str]] = {
    "another mask in the backward pass": (lambda x, p, _: other_mask(x, p), "backward"),
    "one value of the backward mask": (one_word_off, "backward"),
    "too few kept": (by_mask(lambda x, p: draw(x.shape, p + 0.02), (1 - P - 0.02) / (1 - P)), "scale|rate"),
    "another rate, right scale": (by_mask(lambda x, p: draw(x.shape, p + 0.05)), "rate"),
    "wrong scale": (by_mask(lambda x, p: draw(x.shape, p), 1 - P), "scale"),
    "sequences share a mask": (by_mask(lambda x, p: draw(x.shape[1:], p).expand_as(x)), "neighbouring"),
    "positions share a mask": (by_mask(lambda x, p: draw((len(x), 1, x.shape[2]), p).expand_as(x)), "unevenly"),
    "pairs of columns share a mask": (
        by_mask(lambda x, p: draw((*x.shape[:2], x.shape[2] // 2), p).repeat_interleave(2, dim=2)),
        "neighbouring",
    ),
    "no generator": (
        by_mask(lambda x, p: (torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) >= p).float()),
        "depend on each other",
    ),
    "another generator than the seeded": (
        by_mask(lambda x, p: (torch.rand(x.shape, generator=OTHER) >= p).float()),
        "the same seed",
    ),
    "nothing is dropped": (lambda x, p, _: x / (1 - p), "rate"),
}


@pytest.mark.parametrize("name", CORRUPTED)
def test_a_corrupted_mask_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    corrupted, said = CORRUPTED[name]
    assert vars(compiled_dropout)["dropout"] is dropout
    monkeypatch.setattr(compiled_dropout, "dropout", corrupted)
    found = fault(forward(MaskProbe(WIDTH, HEADS, P)), WIDTH, P, CPU)
    assert found is not None
    assert any(word in found for word in said.split("|")), found


@pytest.mark.parametrize("found", [None, "values are kept at a rate of 0.700, not 0.900, or unevenly"])
def test_a_run_with_a_fault_draws_eager_masks_and_says_so_once(
    found: str | None,
    experiment: Builder,
    execution: Executor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    checked: list[dict[str, bool]] = []
    compiled: list[bool] = []

    def check(*given: object, **how: bool) -> str | None:
        assert given[2] == P
        checked.append(how)
        return found

    monkeypatch.setattr(compiled_dropout, "SUSPECTED", ("cpu",))
    monkeypatch.setattr(compiled_dropout, "compiled_fault", check)
    monkeypatch.setattr(state, "compile_blocks", lambda _, **how: compiled.append(how["eager_masks"]))
    spec = experiment(steps=2)
    train(spec, execution(compile=True, activation_checkpointing="blocks"), tmp_path)
    assert checked == [{"rows": False, "recomputed": True}]
    assert compiled == [found is not None]
    assert fold_run(tmp_path).provenance.get("eager_masks") == found
    lines = [line for line in capfd.readouterr().err.splitlines() if "compiled dropout" in line]
    assert len(lines) == (found is not None)


def test_the_check_is_left_out_where_it_has_no_use(
    experiment: Builder, execution: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled_dropout, "compiled_fault", lambda *_, **__: pytest.fail("checked"))
    monkeypatch.setattr(state, "compile_blocks", lambda *_, **__: None)
    train(experiment(steps=2), execution(compile=True), tmp_path / "cpu")  # a CPU is not suspected
    monkeypatch.setattr(compiled_dropout, "SUSPECTED", ("cpu",))
    train(experiment(steps=2), execution(), tmp_path / "eager")
