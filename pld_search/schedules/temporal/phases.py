"""Schedule of phases: theta from several curves, one after the other."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from pld_search.errors import Reason, Refused, below
from pld_search.frozen import Spec
from pld_search.schedules.staged_values import place_order
from pld_search.schedules.temporal.constant import Constant
from pld_search.schedules.temporal.cosine import Cosine
from pld_search.schedules.temporal.exponential import Exponential
from pld_search.schedules.temporal.exponential_growth import ExponentialGrowth
from pld_search.schedules.temporal.family import TemporalFamily
from pld_search.schedules.temporal.linear import Linear
from pld_search.schedules.temporal.polynomial import Polynomial
from pld_search.schedules.temporal.stages import Stages
from pld_search.schedules.temporal.table import Table
from pld_search.schedules.units import Extent, steps_of

Curve = Annotated[
    Constant | Linear | Exponential | ExponentialGrowth | Cosine | Polynomial | Stages | Table,
    Field(discriminator="kind"),
]


class Phase(Spec):
    """One part of a run and its curve. The curve sees the part as a whole run: t counts from the begin of the part, and
    T is its length.
    """

    until: Annotated[
        Extent, Field(description="where this phase ends: `10 %` or `3000 steps`; the last one at `100 %`")
    ]
    temporal: Annotated[Curve, Field(description="theta(t) over this phase, which is a run of its own to it")]


class Phases(TemporalFamily):
    """theta(t) = theta_i(t - begin_i) in a run of end_i - begin_i steps, for begin_i <= t < end_i; falling, rising or
    neither.

    Args:
        phases: two or more, in order. Each phase begins where the phase before it ends, and the last ends at `100 %`.
            Inside a phase, `100 / run` means e-folds over the phase, and `30 %` a share of the phase. The end of a
            phase belongs to the next phase; t = T belongs to the last.

    >>> phases = [{"until": "10 %", "temporal": {"kind": "constant", "value": 1.0}},
    ...           {"until": "100 %", "temporal": {"kind": "linear", "start": 0.75, "end": 0.5}}]
    >>> Phases(phases=phases).theta(np.array([0.0, 99.0, 100.0, 550.0, 1000.0]), 1000)
    array([1.   , 1.   , 0.75 , 0.625, 0.5  ])

    Source: optax.join_schedules, which counts steps from each boundary in the same way.
    """

    kind: Literal["phases"] = "phases"
    phases: Annotated[tuple[Phase, ...], Field(min_length=2, description="the parts of the run, in order")]

    @model_validator(mode="after")
    def _covers_the_run(self) -> Self:
        reasons: list[Reason] = [
            Reason(("phases", index, "until"), why)
            for index, why in place_order([phase.until for phase in self.phases])
        ]
        reasons += (
            [Reason(("phases", 0, "until"), "a phase of no length")]
            if self.phases[0].until in ("0 %", "0 steps")
            else []
        )
        if self.phases[-1].until != "100 %":
            reasons.append(
                Reason(
                    ("phases", len(self.phases) - 1, "until"),
                    "the end of the run is not covered: the last phase ends at `100 %`",
                )
            )
        if reasons:
            raise Refused(reasons)
        return self

    @property
    def lowest(self) -> float:
        """The lowest bound of its phases."""
        return min(phase.temporal.lowest for phase in self.phases)

    @property
    def per_step(self) -> bool:
        """Whether a phase ends at a number of steps, or holds a curve that counts steps."""
        return any(phase.until.endswith("steps") or phase.temporal.per_step for phase in self.phases)

    def bends(self, total: int) -> list[int]:
        """Returns the ends of the phases and the bends of the curves inside them, sorted."""
        ends = [steps_of(phase.until, total) for phase in self.phases]
        inside = [
            begin + step
            for phase, (begin, end) in zip(self.phases, pairwise([0, *ends]), strict=True)
            for step in phase.temporal.bends(end - begin)
        ]
        return sorted([*ends, *inside])

    def misfits(self, total: int) -> list[Reason]:
        """Returns the reasons against phases outside the run or out of order, and the misfits of the curves at the
        lengths of their phases.
        """
        reasons: list[Reason] = []
        begin = 0
        for index, phase in enumerate(self.phases):
            end = steps_of(phase.until, total)
            path = ("phases", index)
            if not begin <= end <= total:
                reasons.append(
                    Reason(
                        (*path, "until"),
                        f"{phase.until} lies outside a run of {total} steps or before the phase begins",
                    )
                )
            elif end > begin:
                reasons += below((*path, "temporal"), phase.temporal.misfits(end - begin))
                begin = end
        return reasons

    def theta(self, step: NDArray[np.float64], total: int) -> NDArray[np.float64]:
        """Returns the curve of the phase around t, over the phase's own steps; t = T belongs to the last phase."""
        ends = np.array([steps_of(phase.until, total) for phase in self.phases])
        # a phase that has no step in a short run has none at t = T either
        last = int(np.searchsorted(ends, total, side="left"))
        which = np.minimum(np.searchsorted(ends, step, side="right"), last)
        theta = np.empty_like(step)
        for index in np.unique(which).tolist():
            begin, inside = int(ends[index - 1]) if index else 0, which == index
            theta[inside] = self.phases[index].temporal.theta(step[inside] - begin, int(ends[index]) - begin)
        return theta
