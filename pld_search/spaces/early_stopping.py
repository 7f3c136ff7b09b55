"""`search.early_stopping`: the shares of spent FLOPs at which a sampled trial is judged, and the rule that stops it.

A rung is a share of a run's expected FLOPs, so its step depends on the schedule: at u = 1/9 a falling linear schedule
has spent 14.4 % of its FLOPs, a rising one 7.8 %. Each rule has its own kind. Systems and their tuning trials always
run to the end.
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
    """Rungs at min, min x eta, min x eta^2, ... up to half of the run. docs/decisions/0018 explains the defaults."""

    min: Annotated[
        Share, Field(gt=0, le=0.5, description="the first rung, a share of the run's expected FLOPs: `30 %`")
    ] = 0.3
    eta: Annotated[int, Field(ge=2, description="the next rung lies eta times as far, and 1 of eta trials goes on")] = 2

    @property
    def shares(self) -> tuple[Decimal, ...]:
        """The rungs, rising, in (0, 1/2]. A run stopped after its half would save little."""
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
    """Successive halving with promotion: every run pauses at a rung, a decaying branch of it is ranked, and the best
    1/eta continue.

    The method is asynchronous successive halving (Li et al. 2020, arXiv:1810.05934, algorithm 2), but never more than
    floor(n / eta) of n runs are promoted. It needs `optimizer.shape: wsd`, because an undecayed learning rate ranks
    runs wrongly.
    """

    kind: Literal["promotion"]


class Learned(_Geometric):
    """A model predicts the end of every run from all runs. The run with the largest expected improvement for its FLOPs
    continues.

    Runs pause at rungs and are judged by branches, as with promotion, so this rule also needs wsd. A paused run may
    continue at any later time.
    """

    kind: Literal["learned"]


class Asha(_Geometric):
    """Optuna's SuccessiveHalvingPruner: a run that is not among the best 1/eta so far at a rung is stopped for good."""

    kind: Literal["asha"]


class Hyperband(_Geometric):
    """Optuna's HyperbandPruner: successive halving in brackets that begin at different rungs."""

    kind: Literal["hyperband"]


class Median(_Even):
    """Optuna's MedianPruner: stops a run that is worse than the median of earlier runs at the same rung."""

    kind: Literal["median"]
    startup: Annotated[
        int, Field(ge=0, le=limits.TRIALS, description="number of trials that end before the first one is stopped")
    ] = 5
    least: Annotated[Trials, Field(description="number of values that a rung's median needs")] = 1


class Threshold(_Even):
    """Optuna's ThresholdPruner: stops a run whose value at a rung lies outside the bounds."""

    kind: Literal["threshold"]
    lower: Annotated[float | None, Field(description="the smallest value with which a run goes on")] = None
    upper: Annotated[float | None, Field(description="the largest value with which a run goes on")] = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.lower is None and self.upper is None:
            raise ValueError("a threshold states lower, upper or both")
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise ValueError("lower lies above upper")
        return self


class Patient(_Even):
    """Optuna's PatientPruner: stops a run that has not improved over `patience` rungs."""

    kind: Literal["patient"]
    patience: Annotated[Trials, Field(description="number of rungs without an improvement that are tolerated")] = 2
    min_delta: Annotated[float, Field(ge=0, description="the smallest change that counts as an improvement")] = 0.0


class Dominance(_Even):
    """For several objectives, where Optuna refuses to prune: stops a run that at least `by` others dominate at a rung.

    One vector of values dominates another if it is at least as good in every objective and better in one.
    """

    kind: Literal["dominance"]
    by: Annotated[Trials, Field(description="number of other trials that must dominate a stopped trial")] = 3


EarlyStopping = Annotated[
    Promotion | Learned | Asha | Hyperband | Median | Threshold | Patient | Dominance, Field(discriminator="kind")
]

Branching = Promotion | Learned
"""Rules that judge runs by decaying branches. A run that pauses at a rung waits there for a decision."""
