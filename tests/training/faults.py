"""Numbers that go wrong on purpose, at chosen steps, in this process or in a child (which reads the fault from its
settings).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from pld_search.training import step
from pld_search.training.learning_rate import Lowered

Patch = Callable[[Any, str, Any], None]
FACTORS = {"nan": math.nan, "inf": math.inf}


class Fault(NamedTuple):
    """From step `since` to `until` (0-based) the loss and the gradients are multiplied; `cured` says by which recovery
    it ends.

    kind: nan | inf, or overflow: fp16 gradients beyond 65,504 as the backward pass itself makes them.
    cured: fp32 | lower_lr | never.
    """

    kind: str
    since: int
    until: int = 10**9
    cured: str = "never"

    def strikes(self, setup: Any, number: int) -> bool:
        well = {"fp32": setup.precision == "fp32", "lower_lr": isinstance(setup.rate, Lowered), "never": False}[
            self.cured
        ]
        return self.since <= number < self.until and not well


def inject(patch: Patch, fault: Fault) -> None:
    """Put the fault where a step computes its loss and gradients."""
    original = step.forward_backward

    def faulty(setup: Any, state: Any, number: int, batch: Any, gates: Any, second: Any = ()) -> torch.Tensor:
        if not fault.strikes(setup, number):
            return original(setup, state, number, batch, gates, second)
        if fault.kind == "overflow":
            return _overflowing(original, setup, state, number, batch, gates, second)
        loss = original(setup, state, number, batch, gates, second) * FACTORS[fault.kind]
        for parameter in state.parameters:
            if parameter.grad is not None:
                parameter.grad *= FACTORS[fault.kind]
        return loss

    patch(step, "forward_backward", faulty)


def _overflowing(
    original: Any, setup: Any, state: Any, number: int, batch: Any, gates: Any, second: Any = ()
) -> torch.Tensor:
    """The backward pass of a loss 2^120 times as large: fp16 gradients are infinite, the loss itself stays as it is."""
    backward = state.numerics.backward
    state.numerics.backward = lambda loss: backward(loss * 2.0**120)
    try:
        loss: torch.Tensor = original(setup, state, number, batch, gates, second)
    finally:
        del state.numerics.backward
    return loss
