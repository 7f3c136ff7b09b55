"""The winner of a study: one answer for report, `best` and MLflow.

It is chosen by the values that the search was told, never by confirming runs. It is the row that the study's contrast
names; before there is a contrast, it is the search's recommendation or the best declared row. Fresh seeds confirm the
choice and never change it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pld_search.records.study_record import StudyRecord
from pld_search.records.trial_record import TrialRecord

Basis = Literal["confirmed", "recommended", "declared"]


@dataclass(frozen=True, slots=True)
class Winner:
    """The trial that won, and the basis of the choice.

    `confirmed`: all of its fresh seeds finished. `recommended`: a sampled configuration, the best by the seeds that
    chose it, so it is exploratory. `declared`: the best row that the study names.
    """

    trial: int
    basis: Basis

    @property
    def exploratory(self) -> bool:
        """Whether only the runs that chose it support it."""
        return self.basis == "recommended"


def winner(study: StudyRecord, sign: float = 1.0, scores: bool = False) -> Winner | None:
    """Returns the winner; None while no feasible row has a value.

    `sign` times the first objective is smaller where it is better. `scores` says that it is a downstream score; losses
    are compared only between rows with the same objective as the reference (or as the first row, without a reference).
    """
    trial = choice(study, sign, scores)
    if trial is None:
        return None
    if confirmed(study, trial):
        return Winner(trial.number, "confirmed")
    return Winner(trial.number, "declared" if trial.system is not None else "recommended")


def choice(study: StudyRecord, sign: float = 1.0, scores: bool = False) -> TrialRecord | None:
    """Returns the row of the contrast, else the best feasible row by the told values; a declared row wins a tie."""
    if study.contrast is not None:
        return study.trials[study.contrast.winner]
    found, name = list(_candidates(study)), study.definition.reference
    reference = row_of(study, name) if name is not None else None
    learnt = [trial.pretraining for trial in ((reference,) if reference else ()) + tuple(trial for trial, _ in found)]
    values = {trial.number: sign * value for trial, value in found if scores or trial.pretraining == learnt[0]}
    return min(
        (study.trials[number] for number in values),
        key=lambda trial: (values[trial.number], trial.system is None, trial.number),
        default=None,
    )


def confirmed(study: StudyRecord, trial: TrialRecord) -> bool:
    """Whether all of its fresh seeds were run and finished."""
    sources = [trial.source(index) for index in trial.confirming]
    launches = [study.trials[number].launches.get(index) for number, index in sources]
    return bool(launches) and all(launch is not None and launch.outcome == "finished" for launch in launches)


def row_of(study: StudyRecord, system: str) -> TrialRecord | None:
    """Returns the trial that is a system's row: the chosen one, else its only one. None while the system is tuned."""
    if system in study.chosen:
        return study.trials[study.chosen[system].trial]
    own = [trial for trial in study.trials.values() if trial.system == system]
    return own[0] if len(own) == 1 else None


def _candidates(study: StudyRecord) -> Iterator[tuple[TrialRecord, float]]:
    """Yields every feasible row of a system and every feasible sampled trial with its first value. After the search has
    recommended a trial, it is the only sampled one.
    """
    names = dict.fromkeys(trial.system for trial in study.trials.values() if trial.system is not None)
    systems = [name for name in names if study.definition.budget_share(name) == 1]
    rows = [row_of(study, system) for system in systems]
    sampled = [trial for trial in study.trials.values() if trial.system is None]
    if study.recommended is not None:
        sampled = [study.trials[study.recommended.trial]]
    for trial in (*rows, *sampled):
        if trial is not None and trial.feasible and trial.told is not None and trial.told.values:
            yield trial, trial.told.values[0]
