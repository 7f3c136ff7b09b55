"""A search's model from its records: the accuracy of its predictions, and the effects of the parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pld_search.records.study_record import StudyRecord
from pld_search.report import wording
from pld_search.statistics.calibration import Calibration, calibration

_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Prediction:
    """A trial's end as predicted at one of its rungs (0, 1, ...), and as measured."""

    trial: int
    rung: int
    mean: float
    sd: float
    end: float


def predictions(study: StudyRecord) -> list[Prediction]:
    """Returns the predictions of all trials that were predicted and reached their end without divergence."""
    return [
        Prediction(trial.number, each.rung, each.mean, each.sd, float(trial.told.values[0]))
        for trial in study.trials.values()
        if trial.told is not None and trial.feasible and trial.told.values
        for each in trial.predicted
    ]


def calibrated(study: StudyRecord) -> Calibration | None:
    """Returns the calibration of the predictions; None without predictions."""
    found = predictions(study)
    return calibration([each.mean for each in found], [each.sd for each in found], [each.end for each in found])


def as_json(study: StudyRecord) -> dict[str, Any]:
    """Returns `predictions`, their `calibration`, and the recorded `explained`; None for unknown parts."""
    found, explained = calibrated(study), study.explained
    return {
        "predictions": [asdict(each) for each in predictions(study)],
        "calibration": None if found is None else asdict(found),
        "explained": None if explained is None else explained.payload(),
    }


def said(found: Calibration) -> str:
    """Formats coverage and errors in one line."""
    inside = ", ".join(
        f"{100 * each.share:.0f} % of the ends lay in the {100 * each.level:.0f} % interval" for each in found.coverage
    )
    return (
        f"{found.n} predictions: {inside}. Mean error {wording.signed(found.bias, 4)}, root mean square "
        f"{found.error:.4f}."
    )


def percent(share: float) -> str:
    """Formats a share: `12.3 %`."""
    return f"{100 * share:.1f} %"


def lines(study: StudyRecord) -> list[str]:
    """Returns calibration and importance as a few plain lines for a terminal."""
    found, explained = calibrated(study), study.explained
    first = [] if found is None else [said(found)]
    return first if explained is None else [*first, _most_important(explained.parameters)]


def _most_important(parameters: Sequence[Any]) -> str:
    named = [
        f"{each['name']} {percent(each['importance'])} ({percent(each['low'])} .. {percent(each['high'])})"
        for each in parameters[:_SHOWN]
    ]
    return f"Share of the objective's variance, with a 90 % interval: {', '.join(named)}."
