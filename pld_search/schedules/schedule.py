"""The Schedule value: keep probabilities over steps and layers, and every convention on which sources differ. Each
convention is named; none has a default.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from pld_search.errors import ConfigError, KeyPath, Problem, Reason, Refused, below
from pld_search.frozen import Spec
from pld_search.schedules.combinations import refusals
from pld_search.schedules.conventions import Rescale, Skipped
from pld_search.schedules.depth import Depth
from pld_search.schedules.draw import Draw
from pld_search.schedules.existing_layers import Layers, LayersAt, layers_at
from pld_search.schedules.keep_grid import STEPS, from_grid, to_grid
from pld_search.schedules.temporal import Temporal
from pld_search.schedules.units import Steps, steps_of

_RESCALES = (
    "scale of a kept layer: sublayer (1/p on each residual, the paper) | block (1/p on the block's residual, "
    "unbiased) | none | "
    "evaluation (p at evaluation instead) | deepspeed (1/p of the next layer)"
)
_SKIPPED = (
    "weights of a dropped layer: freeze (no update) | decay (weight decay only) | zero_grad (a zero gradient: "
    "momentum drifts on)"
)


class Schedule(Spec):
    """Keep probabilities over steps and layers, and the effect of a draw from them on a training step.

    rescale:
        `sublayer`: scales each sublayer's residual of a kept layer by 1/p (the paper). It is biased with `unit: layer`,
        since both sublayers share one draw.
        `block`: scales the whole residual of the block by 1/p, which leaves its expectation unbiased.
        `none`: scales nothing.
        `evaluation`: scales nothing in training; at evaluation every residual is multiplied by p (stochastic depth,
        Huang et al., 2016, arXiv 1603.09382). The other conventions scale nothing at evaluation.
        `deepspeed`: as `sublayer`, but with the p of the next layer.
    skipped, for weights of layers that no group of a step keeps:
        `freeze`: they have no gradient, and the optimizer leaves the weights and their moments unchanged.
        `decay`: as `freeze`, but weight decay is applied.
        `zero_grad`: their gradient is 0 and the optimizer steps, so that momentum still moves them (DeepSpeed).
    run: the number of steps for which `/ step` rates and places in steps were chosen; any other number is refused.
    """

    name: Annotated[str, Field(description="the name; like `about` and `source` no part of a run's identity")] = ""
    about: Annotated[str, Field(description="a description, for people")] = ""
    source: Annotated[str, Field(description="the source, for people")] = ""
    temporal: Annotated[Temporal, Field(description="theta(t), the keep rate over the run")]
    depth: Annotated[Depth, Field(description="from theta to p_l of layer l = 1 .. L")]
    draw: Annotated[Draw, Field(description="how layers are drawn from p_l")]
    rescale: Annotated[Rescale, Field(description=_RESCALES)]
    skipped: Annotated[Skipped, Field(description=_SKIPPED)]
    run: Annotated[Steps | None, Field(description="the run that `/ step` rates and places in steps are meant for")] = (
        None
    )

    @model_validator(mode="after")
    def _has_a_meaning(self) -> Self:
        reasons = refusals(self)
        if reasons:
            raise Refused(reasons)
        return self

    def misfits(
        self, total: int | None = None, layers: Layers | None = None, sequences: tuple[int, ...] = ()
    ) -> list[Reason]:
        """Returns the reasons why this schedule does not fit a run of this many steps and layers, whose groups have
        each of these numbers of sequences.

        Each reason has its key. An argument that is None is not checked; the check of the rows of a stratum needs both
        total and layers. Where layers grow, every number of layers has to fit.
        """
        reasons: list[Reason] = []
        if total is not None:
            if self.run is not None and steps_of(self.run, total) != total:
                why = (
                    f"its `/ step` rates are meant for a run of {self.run}, not {total} steps; change `run`, or "
                    "give the rates `/ run`"
                )
                reasons.append(Reason(("run",), why))
            reasons += below(("temporal",), self.temporal.misfits(total))
        if layers is not None:
            reasons += below(("depth",), self._depth_misfits(layers_at(layers)))
        if not reasons and self.draw.strata is not None:
            reasons += self._strata_misfits(self.draw.strata, total, layers, sequences)
        return reasons

    def misfit(self, total: int) -> str | None:
        """Returns why this schedule does not fit a run of `total` steps; None when it fits."""
        return "; ".join(reason.why for reason in self.misfits(total)) or None

    def theta(self, step: ArrayLike, total: int) -> NDArray[np.float64]:
        """Returns the keep rate at `step` (0 .. total, any shape) of a run of `total` steps; float64 of step's shape.

        Raises ConfigError when the schedule does not fit this number of steps, ValueError for a step outside the run.
        """
        _refuse(self.misfits(total))
        steps = np.asarray(step, dtype=np.float64)
        if total < 1 or (steps.size and not (steps.min() >= 0 and steps.max() <= total)):
            raise ValueError(f"steps lie in 0 .. {total}, and a run has at least one")
        return np.asarray(self.temporal.theta(steps, total), dtype=np.float64)

    def keep_grid(self, step: ArrayLike, total: int, layers: Layers) -> NDArray[np.uint64]:
        """Returns `keep_probabilities` in grid steps, 0 .. 2^32: (..., layers) uint64."""
        _refuse(self.misfits(layers=layers))
        theta = self.theta(step, total)
        return layers_at(layers).spread(
            step, lambda where, size: self.draw.effective(to_grid(self.depth.keep(theta[where], size)))
        )

    def keep_probabilities(self, step: ArrayLike, total: int, layers: Layers) -> NDArray[np.float64]:
        """Returns p_l for l = 1 .. layers at `step`: (..., layers) in [0, 1], computed in float64 and rounded to the
        grid of 2^-32.

        The draw keeps a layer with this probability; for `lowest`, which does not sample, it is 1 or 0. Where layers
        grow, the probabilities are computed for a model of the layers that exist at that step, and are 0 for the layers
        above (schedules/existing_layers.py). Raises ConfigError when the schedule does not fit this number of steps or
        layers.
        """
        return from_grid(self.keep_grid(step, total, layers))

    def plot(self, steps: int = 10_000, layers: int = 12) -> Any:
        """Draws the schedule over a run of `steps` steps and `layers` layers, as a picture that a notebook shows.
        `.save(FILE)` writes it as PNG, SVG or PDF; `.figure` is the matplotlib figure.

        Raises ConfigError when the schedule does not fit this number of steps or layers.
        """
        return _views().picture(self, steps, layers)

    def to_yaml(self) -> str:
        """Returns the schedule as the text of a file, which `load_schedule` reads back as an equal schedule."""
        return str(_views().text(self))

    def _depth_misfits(self, stack: LayersAt) -> list[Reason]:
        """Returns one reason for each key of the depth family, for the first number of layers that it does not fit."""
        found: dict[KeyPath, Reason] = {}
        for size in stack.sizes:
            for reason in self.depth.misfits(size):
                why = f"{reason.why}, as it is in a stage of growth" if len(stack.sizes) > 1 else reason.why
                found.setdefault(reason.path, reason._replace(why=why))
        return list(found.values())

    def _strata_misfits(
        self, strata: int, total: int | None, layers: Layers | None, sequences: tuple[int, ...]
    ) -> list[Reason]:
        reasons = [
            Reason(("draw", "strata"), f"a group of {size} sequences is not a multiple of {strata}")
            for size in sequences
            if size % strata
        ]
        if total is not None and layers is not None:
            least = self._least(total, layers_at(layers))
            if least * strata < STEPS:
                why = (
                    f"each layer keeps at least one row in every {strata}, but a keep probability falls to "
                    f"{least / STEPS:.4g}: at least 1/{strata} is needed"
                )
                reasons.append(Reason(("draw", "strata"), why, (("temporal",), ("depth",))))
        return reasons

    def _least(self, total: int, stack: LayersAt) -> int:
        """Returns the smallest keep probability of an existing layer, in grid steps. Theta is lowest at an end of a
        piece, so only those steps are computed.
        """
        begins = {at for at in (0, *self.temporal.bends(total), *stack.begins) if 0 <= at < total}
        steps = np.array(sorted(begins | {at - 1 for at in begins if at} | {total - 1}))
        theta, exist = self.theta(steps, total), stack.at(steps)
        lowest = {size: theta[exist == size].min(keepdims=True) for size in np.unique(exist).tolist()}
        return min(int(to_grid(self.depth.keep(theta, size)).min()) for size, theta in lowest.items())


def _refuse(reasons: list[Reason]) -> None:
    if reasons:
        raise ConfigError([Problem(reason.why, path=reason.path) for reason in reasons])


def _views() -> Any:
    """Imports the module of pictures and YAML by name when it is needed. It lies in a room above this one, which must
    not import it at the top (docs/decisions/0030-what-people-look-at.md).
    """
    return import_module("pld_search.api.schedule_views")
