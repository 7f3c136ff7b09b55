"""A check of the dropout that torch's compiler generates, on the device of a run.

With torch >= 2.13, compiled dropout on CUDA can drop other values than it should after a materialised reshape, and more
often when its mask is computed again for the backward pass (pytorch#198333, open in November 2026). Masks of one graph
can change places (pytorch#192635). Such a run trains on wrong gradients, and nothing reports it.

The check compiles a probe with the dropout, the reshapes and the residuals of a block. Its weights are the identity, so
that its output shows each mask and its gradient shows the mask of the backward pass. Both masks have to be equal, and
have to look like independent draws at the stated rate, as the masks of eager dropout do.

Shapes: B sequences, L positions, H hidden values; a mask is bool, True where a value is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pld_search.model import activation_checkpointing
from pld_search.model.dropout import dropout
from pld_search.training.precision import Numerics
from pld_search.training.setup import Setup

Forward = Callable[[Tensor], Tensor]
"""Maps (B, L, H) to the outputs of both sublayers, (2, B, L, H)."""
SUSPECTED = ("cuda",)
"""Types of devices for which torch generates wrong masks in some versions."""
_SIGMAS = 8.0  # an honest mask fails with a probability below 1e-8
_SEEDS = (1, 2)
_SIZE = 4, 128  # sequences and positions of the probe
_TOLERANCE = 0.25  # of a gradient; one wrong value of a mask changes it by more than 1, 16 bits change it by 0.1


class MaskProbe(nn.Module):
    """Two residual sublayers with dropout `p`, whose linear maps are the identity. `heads` divides `width`."""

    def __init__(self, width: int, heads: int, p: float) -> None:
        super().__init__()
        self._heads, self._p = heads, p
        self.first, self.second = (nn.Parameter(torch.eye(width)) for _ in range(2))

    def forward(self, x_BLH: Tensor) -> Tensor:
        """Returns the output of the first and of both sublayers, (2, B, L, H)."""
        first = x_BLH + dropout(self._reshaped(F.linear(x_BLH, self.first)), self._p, True)
        second = first + dropout(self._reshaped(F.linear(first, self.second)), self._p, True)
        return torch.stack((first, second))

    def _reshaped(self, x_BLH: Tensor) -> Tensor:
        """Returns x itself, by way of the heads' layout in memory."""
        batch, length, width = x_BLH.shape
        apart = x_BLH.view(batch, length, self._heads, width // self._heads).transpose(1, 2).contiguous()
        return apart.transpose(1, 2).reshape(batch, length, width)


def mask_fault(setup: Setup) -> str | None:
    """Returns the fault of a run's compiled dropout, None when it has none: also when no block is compiled, nothing is
    dropped, or the type of the device is not suspected.
    """
    model, how, device = setup.experiment.model, setup.execution, setup.device
    if not how.compile or not model.dropout or device.type not in SUSPECTED:
        return None
    return compiled_fault(
        model.hidden,
        model.heads,
        model.dropout,
        device,
        Numerics(setup.precision, device).autocast,
        rows=setup.plan.schedule.draw.per == "sequence",
        recomputed=how.activation_checkpointing != "none",
    )


def compiled_fault(
    width: int,
    heads: int,
    p: float,
    device: torch.device,
    autocast: Callable[[], AbstractContextManager[object]],
    *,
    rows: bool,
    recomputed: bool,
) -> str | None:
    """Returns the fault of compiled dropout on `device`, None when it has none. Takes a compilation.

    `rows` and `recomputed`: blocks are compiled for any number of rows, and are computed again for the backward pass.
    """
    probe = MaskProbe(width, heads, p).to(device)
    probe.compile(dynamic=rows)

    def forward(x: Tensor) -> Tensor:
        with autocast():
            return activation_checkpointing.run(probe, recomputed, x)

    return fault(forward, width, p, device)


def fault(forward: Forward, width: int, p: float, device: torch.device) -> str | None:
    """Returns the first fault of a probe's masks as a clause, None when there is none. The global generator's states
    are kept.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        return next(_faults(forward, width, p, device), None)


def _faults(forward: Forward, width: int, p: float, device: torch.device) -> Iterator[str]:
    drawn: list[Tensor] = []
    for seed in _SEEDS:
        torch.manual_seed(0)
        x = torch.randn(*_SIZE, width, device=device).requires_grad_()
        torch.manual_seed(seed)
        first, second = forward(x)
        masks = first != x, second != first
        yield from _wrong_values(x, first, second, masks, p)
        (gradient,) = torch.autograd.grad((first + second).sum(), x)
        if not _fits(gradient, masks, p):
            yield "the backward pass does not have the mask of the forward pass"
        for mask in masks:
            yield from _deviating_rates(mask, p)
        drawn += masks
        torch.manual_seed(seed)
        with torch.no_grad():
            again = forward(x)
        if not torch.equal(again[0] != x, masks[0]) or not torch.equal(again[1] != again[0], masks[1]):
            yield "the same seed gives another mask"
    pairs = ((one, other) for number, one in enumerate(drawn) for other in drawn[:number])
    if not all(_independent(*pair, p) for pair in pairs):
        yield "masks of several draws depend on each other"


def _wrong_values(x: Tensor, first: Tensor, second: Tensor, masks: tuple[Tensor, Tensor], p: float) -> Iterator[str]:
    """Each kept value of a sublayer is its input times 1 / (1 - p)."""
    for before, after, mask in ((x, first, masks[0]), (first, second, masks[1])):
        expected = before * (1 + mask / (1 - p))
        if not torch.allclose(after, expected, rtol=0.03, atol=0.03):
            yield "kept values have a wrong scale"


def _fits(gradient: Tensor, masks: tuple[Tensor, Tensor], p: float) -> bool:
    """Whether the gradient of the sum of both outputs is the one of these masks."""
    scale = 1 / (1 - p)
    expected = (2 + scale * masks[1]) * (1 + scale * masks[0])
    return bool(((gradient - expected).abs() < _TOLERANCE).all())


def _deviating_rates(mask: Tensor, p: float) -> Iterator[str]:
    """The rate over all values, over each sequence, position and column, and the dependence of neighbours."""
    for over in ((0, 1, 2), (1, 2), (0, 2), (0, 1)):
        kept = mask.double().mean(over)
        count = mask.numel() // kept.numel()
        if bool((kept - (1 - p)).abs().max() > _SIGMAS * math.sqrt(p * (1 - p) / count)):
            yield f"values are kept at a rate of {float(mask.double().mean()):.3f}, not {1 - p:.3f}, or unevenly"
    for dimension in range(mask.dim()):
        count = mask.shape[dimension] - 1
        if not _independent(mask.narrow(dimension, 0, count), mask.narrow(dimension, 1, count), p):
            yield "neighbouring values depend on each other"


def _independent(one: Tensor, other: Tensor, p: float) -> bool:
    """Whether two masks agree as often as independent draws do."""
    agreed = p * p + (1 - p) * (1 - p)
    found = float((one == other).double().mean())
    return abs(found - agreed) <= _SIGMAS * math.sqrt(agreed * (1 - agreed) / one.numel())
