"""Makes the Optuna sampler of a question: a fresh one for each question, with its own seed."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna

from pld_search.by_name import by_name
from pld_search.search.observed_runs import Observed
from pld_search.search.optuna.genetic_sampler import GeneticSampler
from pld_search.search.optuna.space_filling_sampler import SpaceFilling
from pld_search.spaces.flat_space import FlatSpace

GAUSSIAN_PROCESS = "pld_search.search.optuna.gp_sampler:GaussianProcessSampler"
"""Loaded by its name: scipy's optimizers and distances take long to load, and only this sampler needs them to ask."""
INFORMED_STARTS = "pld_search.search.optuna.informed_starts:InformedStarts"


@dataclass(frozen=True, slots=True)
class SamplerRequest:
    """The request for a sampler. seed: of this question; start_seed: of the search, the same for all its questions.

    starts: number of space-filling questions at the start; None as in studies of version 0.1, which draw TPE's first
    ten at random. shares: share of a run, by the step at which a rung's value is reported. given: values of the first
    questions.
    borrowed: final values of other studies that a model learns from.
    """

    kind: str
    seed: int
    tree: Any = None
    starts: int | None = None
    start_seed: int = 0
    shares: Mapping[int, float] = field(default_factory=dict)
    given: Sequence[Mapping[str, Any]] = ()
    borrowed: Observed | None = None


def make_sampler(request: SamplerRequest) -> optuna.samplers.BaseSampler:
    """Makes `gp`, `nsga2`, `tpe` (multivariate, grouped by parameters that occur together), or one without a model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        given = [dict(each) for each in request.given]
        if request.kind == "random":
            drawn = optuna.samplers.RandomSampler(seed=request.seed)
            return SpaceFilling(FlatSpace(request.tree), 0, request.start_seed, drawn, given) if given else drawn
        if request.kind == "bruteforce":
            return optuna.samplers.BruteForceSampler(seed=request.seed)
        if request.kind == "tpe" and request.starts is None:
            return optuna.samplers.TPESampler(seed=request.seed, multivariate=True, group=True)
        space, starts = FlatSpace(request.tree), request.starts or 0
        if request.kind == "gp":
            learner = by_name(GAUSSIAN_PROCESS)(space, request.tree, request.seed, request.shares, request.borrowed)
            if request.borrowed is not None:
                start = by_name(INFORMED_STARTS)
                found: optuna.samplers.BaseSampler = start(
                    space, starts, request.start_seed, learner, request.borrowed, given
                )
                return found
            return SpaceFilling(space, starts, request.start_seed, learner, given)
        if request.kind == "nsga2":
            return SpaceFilling(space, starts, request.start_seed, GeneticSampler(space, request.seed), given)
        tpe = optuna.samplers.TPESampler(
            seed=request.seed, multivariate=True, group=True, n_startup_trials=max(1, starts)
        )
        return SpaceFilling(space, starts, request.start_seed, tpe, given)
