"""What a search's model says, from its records: how well it predicted, and what it has learned of the parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pld_search.records.study_events import SearchExplained
from pld_search.records.study_record import StudyRecord, StudyView
from pld_search.report import search_figures, table_cells, wording
from pld_search.report.html_markup import Markup, tag
from pld_search.spaces.objectives import Objectives
from pld_search.statistics.calibration import Calibration, calibration

_PREDICTED = (
    "What the model expected of the end when a run was judged at a rung, against what came, with 95 % intervals; over the runs that went on "
    "to their ends, which are those that promised much. On the line a prediction was right."
)
_MATTERS = (
    "The share of the objective's variance over the whole space that goes when a parameter is known, with all it is part of, by the model of "
    "{points} configurations; bars are 90 % intervals. A parameter of a branch counts where the branch is chosen."
)
_ACTS = "The expected objective by the values of one parameter, as a mean over all others; bands are one standard deviation."
_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Prediction:
    """A trial's end as predicted at one of its rungs (0, 1, ...), and as it came."""

    trial: int
    rung: int
    mean: float
    sd: float
    end: float


def predictions(study: StudyRecord) -> list[Prediction]:
    """Of all trials that were predicted and reached their end without divergence."""
    return [
        Prediction(trial.number, each.rung, each.mean, each.sd, float(trial.told.values[0]))
        for trial in study.trials.values()
        if trial.told is not None and trial.feasible and trial.told.values
        for each in trial.predicted
    ]


def calibrated(study: StudyRecord) -> Calibration | None:
    """How far these predictions can be believed; None where there is none."""
    found = predictions(study)
    return calibration([each.mean for each in found], [each.sd for each in found], [each.end for each in found])


def as_json(study: StudyRecord) -> dict[str, Any]:
    """`predictions`, their `calibration`, and `explained` as recorded; None for what is not known."""
    found, explained = calibrated(study), study.explained
    return {
        "predictions": [asdict(each) for each in predictions(study)],
        "calibration": None if found is None else asdict(found),
        "explained": None if explained is None else explained.payload(),
    }


def sections(view: StudyView) -> list[Markup]:
    """The sections of the page; none for a search without a model."""
    return [*_calibration(view.study), *_explanation(view)]


def _calibration(study: StudyRecord) -> list[Markup]:
    found, shown = calibrated(study), predictions(study)
    if found is None:
        return []
    picture = search_figures.calibration_svg([(each.mean, each.sd, each.end) for each in shown])
    return [
        tag(
            "section",
            tag("h2", "Predictions of the search"),
            tag("p", _said(found), class_="soft"),
            tag("figure", Markup(picture), tag("figcaption", _PREDICTED)),
        )
    ]


def _said(found: Calibration) -> str:
    inside = ", ".join(
        f"{100 * each.share:.0f} % of the ends lay in the {100 * each.level:.0f} % interval" for each in found.coverage
    )
    return f"{found.n} predictions: {inside}. Mean error {wording.signed(found.bias, 4)}, root mean square {found.error:.4f}."


def _explanation(view: StudyView) -> list[Markup]:
    explained = view.study.explained
    if explained is None:
        return []
    first = explained.parameters[:_SHOWN]
    objective = Objectives.of_definition(view.study.definition.tree).first.metric
    return [
        tag(
            "section",
            tag("h2", "What matters"),
            tag("p", _MATTERS.format(points=explained.points), class_="soft"),
            tag("figure", Markup(search_figures.importance_svg(explained.parameters))),
            _pairs(explained),
            tag("figure", Markup(search_figures.dependence_svg(first, objective)), tag("figcaption", _ACTS)),
        )
    ]


def _pairs(explained: SearchExplained) -> Markup | None:
    """Parameters that act together, as a table; None where none does."""
    shown = [each for each in explained.interactions if each["share"] >= 0.005][:_SHOWN]
    if not shown:
        return None
    lines = [
        tag("tr", table_cells.cell(" x ".join(each["names"]), None, "left"), table_cells.cell(_percent(each["share"])))
        for each in shown
    ]
    headings = [table_cells.heading("together", left=True), table_cells.heading("share of variance")]
    return table_cells.grid(headings, lines)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def lines(study: StudyRecord) -> list[str]:
    """The same in a few plain lines, for a terminal."""
    found, explained = calibrated(study), study.explained
    said = [] if found is None else [_said(found)]
    return said if explained is None else [*said, _most_important(explained.parameters)]


def _most_important(parameters: Sequence[Any]) -> str:
    named = [
        f"{each['name']} {_percent(each['importance'])} ({_percent(each['low'])} .. {_percent(each['high'])})"
        for each in parameters[:_SHOWN]
    ]
    return f"Share of the objective's variance, with a 90 % interval: {', '.join(named)}."
