"""The values that a study's records hold for the search's space; models are fitted to these values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pld_search.records.trial_record import TrialRecord
from pld_search.search.borrowed import borrowed_values
from pld_search.search.ledger import Ledger
from pld_search.search.observed_runs import Observed
from pld_search.search.trial_queue import sampled_for
from pld_search.spaces.domains import close
from pld_search.spaces.flat_space import FlatSpace
from pld_search.spaces.study import Study

LEAST = 5
"""Minimum number of configurations with a value before a model of a search is fitted."""


class ObservedValue(NamedTuple):
    """A value of the first objective, less is better, for a configuration and a run, at a share of the run (1: the
    end).
    """

    params: Mapping[str, Any]
    run: int
    share: float
    value: float


def observed_elsewhere(ledger: Ledger, study: Study, space: FlatSpace) -> list[tuple[dict[str, Any], float]]:
    """Returns (parameters, value of the first objective) of systems and tuning trials whose configuration also lies in
    the search's space.
    """
    found = []
    for trial in ledger.study.trials.values():
        if trial.kind != "sampled" and trial.system is not None and trial.told is not None and trial.told.values:
            params = space.find(close(study.tree_of(trial.system), trial.asked.params))
            if params is not None:
                found.append((params, trial.told.values[0]))
    return found


def observations(ledger: Ledger, study: Study, space: FlatSpace, shares: Sequence[float]) -> list[ObservedValue]:
    """Returns all known values in the order of their records; values trained outside the search come first.

    shares: the shares of a run at its rungs, where the values of rungs count. Sampled trials use their trial number as
    run number; other runs have numbers below 0.
    """
    sign, elsewhere = study.objectives.first.sign, observed_elsewhere(ledger, study, space)
    found = [ObservedValue(params, -2 - number, 1.0, sign * value) for number, (params, value) in enumerate(elsewhere)]
    later = [each for trial in sampled_for(ledger, None) for each in _of(trial, sign, shares)]
    return [*found, *(observation for _, observation in sorted(later, key=lambda each: each[0]))]


def _of(trial: TrialRecord, sign: float, shares: Sequence[float]) -> list[tuple[int, ObservedValue]]:
    """Returns the values of a sampled trial, each with the number of its record."""
    params, run, told = dict(trial.asked.params), trial.number, trial.told
    rungs = trial.rungs if shares else []
    found = [(rung.seq, ObservedValue(params, run, shares[rung.rung], sign * float(rung.values[0]))) for rung in rungs]
    if told is not None and told.values:
        found.append((told.seq, ObservedValue(params, run, 1.0, sign * float(told.values[0]))))
    return found


def observed(ledger: Ledger, study: Study, space: FlatSpace, rows: Sequence[ObservedValue]) -> Observed:
    """Converts the values to arrays, and adds the values that were taken over from other studies (borrowed.py)."""
    own = Observed(
        space.encoded([row.params for row in rows]),
        np.array([row.value for row in rows]),
        np.array([row.share for row in rows]),
        np.array([row.run for row in rows]),
    )
    borrowed = borrowed_values(ledger.study, study.objectives.first.sign, space)
    return own if borrowed is None else borrowed.and_also(own)
