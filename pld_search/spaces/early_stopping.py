"""`search.early_stopping`: at which shares of the spent FLOPs a sampled trial is judged, and by which rule it is
stopped.

A rung is a share of a run's expected FLOPs, so it lies at another step for each schedule: at u = 1/9 a falling linear
schedule has spent 14.4 % of its FLOPs, a rising one 7.8 %. One kind a rule; systems and their tuning always run to the
end.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pld_search.frozen import Spec
from pld_search.schedules.units import Share, exact
from pld_search.specs import limits

_HALF = Decimal("0.5")
Trials = Annotated[int, Field(ge=1, le=limits.TRIALS)]


class _Geometric(Spec):
    """Rungs at min, min x eta, min x eta^2, ... up to half of the run. The defaults: docs/decisions/0018."""

    min: Annotated[
        Share, Field(gt=0, le=0.5, description="the first rung, a share of the run's expected FLOPs: `30 %`")
    ] = 0.3
    eta: Annotated[int, Field(ge=2, description="the next rung is so many times as far; 1 of so many goes on")] = 2

    @property
    def shares(self) -> tuple[Decimal, ...]:
        """The rungs, rising, in (0, 1/2]: what begins beyond a half saves little by stopping."""
        found = [exact(self.min)]
        while found[-1] * self.eta <= _HALF:
            found.append(found[-1] * self.eta)
        return tuple(found)


class _Even(Spec):
    """Rungs at every multiple of a share below the whole run."""

    every: Annotated[
        Share, Field(gt=0, le=0.5, description="a rung after every such share of the run's expected FLOPs: `10 %`")
    ] = 0.1

    @property
    def shares(self) -> tuple[Decimal, ...]:
        """The rungs, rising, in (0, 1)."""
        each = exact(self.every)
        return tuple(each * k for k in range(1, int(1 / each) + 1) if each * k < 1)


class Promotion(_Geometric):
    """Halving with promotion: every run pauses at a rung, a branch of it decays and is ranked, the best 1/eta go on.

    Asynchronous successive halving (Li et al. 2020, arXiv:1810.05934, algorithm 2), but never more than floor(n / eta)
    of n are promoted. Needs `optimizer.shape: wsd`: a learning rate that has not decayed ranks runs wrongly.
    """

    kind: Literal["promotion"]


class Learned(_Geometric):
    """A model predicts the end of every run from all runs; who goes on is the largest improvement for its FLOPs.

    Runs pause at rungs, where branches of them are seen, as with promotion; so it needs wsd, too. Who waits may go on
    at any later time.
    """

    kind: Literal["learned"]


class Asha(_Geometric):
    """Optuna's SuccessiveHalvingPruner: at a rung a run that is not among the best 1/eta so far is stopped for good."""

    kind: Literal["asha"]


class Hyperband(_Geometric):
    """Optuna's HyperbandPruner: successive halving in brackets that begin at different rungs."""

    kind: Literal["hyperband"]


class Median(_Even):
    """Optuna's MedianPruner: a run worse than the median of the earlier ones at the same rung is stopped."""

    kind: Literal["median"]
    startup: Annotated[
        int, Field(ge=0, le=limits.TRIALS, description="nothing is stopped before so many trials have ended")
    ] = 5
    least: Annotated[Trials, Field(description="a rung's median needs so many values")] = 1


class Threshold(_Even):
    """Optuna's ThresholdPruner: a run whose value at a rung lies outside the bounds is stopped."""

    kind: Literal["threshold"]
    lower: Annotated[float | None, Field(description="the least value that goes on")] = None
    upper: Annotated[float | None, Field(description="the greatest value that goes on")] = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.lower is None and self.upper is None:
            raise ValueError("a threshold states lower, upper or both")
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise ValueError("lower lies above upper")
        return self


class Patient(_Even):
    """Optuna's PatientPruner: a run that has not improved over so many rungs is stopped."""

    kind: Literal["patient"]
    patience: Annotated[Trials, Field(description="rungs without an improvement that are borne")] = 2
    min_delta: Annotated[float, Field(ge=0, description="what counts as an improvement")] = 0.0


class Dominance(_Even):
    """For several objectives, where Optuna refuses to prune: a run is stopped that enough others dominate at a rung.

    One value vector dominates another when it is at least as good in every objective and better in one.
    """

    kind: Literal["dominance"]
    by: Annotated[Trials, Field(description="so many others must dominate it")] = 3


EarlyStopping = Annotated[
    Promotion | Learned | Asha | Hyperband | Median | Threshold | Patient | Dominance, Field(discriminator="kind")
]

Branching = Promotion | Learned
"""Rules that see runs by branches that decay; whoever waits at a rung waits until a decision."""
