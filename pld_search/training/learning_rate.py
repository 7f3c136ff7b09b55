"""The learning rate of a step: warm-up, then a shape. Linear, wsd and cosine are zero exactly at T, exponential is not.

For 0-based steps t of T, a warm-up of W steps and a peak of 1, the rate is (t+1)/W for t < W, afterwards

    linear        (T-t) / (T-W)
    wsd           1 for t < T-D, then (T-t) / D; D = `decay`
    cosine        (1 + cos(pi (t-W) / (T-W))) / 2             Loshchilov & Hutter 2017, eq. 5, one period
    exponential   rate^((t-W) / 1000)                         DeepSpeed's BERT client (bing_bert,
                  warmup_linear_decay_exp): 0.99
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from pld_search.errors import ConfigError, Problem
from pld_search.schedules.units import steps_of
from pld_search.specs.experiment import Optimizer

_PER = 1000  # the steps to which an exponential rate refers


class Rate(Protocol):
    """A learning rate over steps, as a pure function."""

    def at(self, step: int) -> float:
        """Returns the rate of step t (0-based)."""


class RateShape(Protocol):
    """The shape of the learning rate after the warm-up."""

    def at(self, peak: float, step: int) -> float:
        """Returns the rate of step t >= W."""


@dataclass(frozen=True, slots=True)
class Down:
    """Constant, then linear over the last `decay` steps (wsd); linear if `decay` covers all steps after the warm-up."""

    decay: int
    total: int

    def at(self, peak: float, step: int) -> float:
        """Returns the peak until the last `decay` steps, then a straight line to 0 at T."""
        left = max(0, self.total - step)
        return peak * left / self.decay if left < self.decay else peak if left else 0.0


@dataclass(frozen=True, slots=True)
class CosineRate:
    """Half a period of a cosine from the end of the warm-up to T."""

    warmup: int
    total: int

    def at(self, peak: float, step: int) -> float:
        """Returns a rate that falls from the peak at the end of the warm-up to 0 at T."""
        if step >= self.total:
            return 0.0
        return peak * (1 + math.cos(math.pi * (step - self.warmup) / (self.total - self.warmup))) / 2


@dataclass(frozen=True, slots=True)
class ExponentialRate:
    """A constant factor per step; independent of T, and above 0 at T."""

    warmup: int
    rate: float

    def at(self, peak: float, step: int) -> float:
        """Returns the peak times the factor of each step since the end of the warm-up."""
        return peak * math.pow(self.rate, (step - self.warmup) / _PER)


@dataclass(frozen=True, slots=True)
class LearningRate:
    """A learning rate over steps t = 0 .. T, a pure function of t: peak (t+1)/W for t < W = `warmup`, then `shape`."""

    peak: float
    warmup: int
    total: int
    shape: RateShape

    def at(self, step: int) -> float:
        """Returns the rate of step t (0-based); t = T is after the last step."""
        return self.peak * (step + 1) / self.warmup if step < self.warmup else self.shape.at(self.peak, step)


@dataclass(frozen=True, slots=True)
class Lowered:
    """A rate times a constant."""

    rate: Rate
    factor: float

    def at(self, step: int) -> float:
        """Returns the rate of step t (0-based), times the factor."""
        return self.factor * self.rate.at(step)


@dataclass(frozen=True, slots=True)
class BranchRate:
    """The rate of a branch: linear from the trunk's rate at step `start` to zero at `end`, like the last steps of
    wsd.
    """

    trunk: Rate
    start: int
    end: int

    def at(self, step: int) -> float:
        """Returns the rate of step t (0-based, `start` or later); 0 from `end` on."""
        return self.trunk.at(self.start) * max(0, self.end - step) / (self.end - self.start)


def learning_rate(optimizer: Optimizer, total: int) -> LearningRate:
    """Returns the learning rate of a run of `total` steps. Raises ConfigError if warm-up and decay do not fit into the
    run.
    """
    warmup = steps_of(optimizer.warmup, total)
    decay = steps_of(optimizer.decay, total) if optimizer.shape == "wsd" else 0
    reasons = optimizer.misfits(total)
    if reasons:
        raise ConfigError([Problem(reason.why, ("optimizer", *reason.path)) for reason in reasons])
    return LearningRate(optimizer.lr, warmup, total, _shape(optimizer, warmup, decay, total))


def _shape(optimizer: Optimizer, warmup: int, decay: int, total: int) -> RateShape:
    if optimizer.shape == "cosine":
        return CosineRate(warmup, total)
    if optimizer.shape == "exponential":
        assert optimizer.rate is not None  # the spec requires it
        return ExponentialRate(warmup, optimizer.rate)
    return Down(min(decay, total - warmup) if optimizer.shape == "wsd" else total - warmup, total)
