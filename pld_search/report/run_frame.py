"""The data of a study as flat columns, for report.csv and for the data frames of Python.

A run's line has its identity, `label` (its row), `verdict`, `param/NAME` for sampled or tuned values, `model/KEY` and
`schedule/KEY` of its experiment, and every measured metric.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pld_search.frozen import canonical_json
from pld_search.records.run_record import RunRecord
from pld_search.records.study_record import StudyView
from pld_search.report import headline
from pld_search.report.comparison import SystemRow
from pld_search.report.run_rows import IDENTITY, Row, rows
from pld_search.report.step_cost import step_cost
from pld_search.report.study_summary import Summary
from pld_search.specs.experiment import Experiment

FIRST = ("label", *IDENTITY, "verdict")
_GROUPS = ("param", "model", "schedule")
_TEXTS = {"name", "about", "source"}


def run_lines(view: StudyView, table: list[SystemRow], about: Summary) -> list[Row]:
    """Returns one line for each run, in the order of the rows of report.json."""
    words, labels = headline.words(table, about), {row.trial: row.label for row in table}
    lines = []
    for row in rows(view):
        trial = view.study.trials[row["trial"]]
        label = labels.get(trial.number) or (f"{trial.system} (tuning {trial.number})" if trial.system else "")
        flat = described(trial.asked.params, view.runs[trial.number, row["seed_index"]].experiment or trial.experiment)
        lines.append({"label": label, **row, "verdict": words.get(trial.number, ""), **flat})
    return lines


def mean_lines(table: list[SystemRow], about: Summary) -> list[Row]:
    """Returns one line for each row of the comparison: means over its finished seeds, and `sd/NAME` with several seeds.

    `difference/NAME`, `low/NAME` and `high/NAME` are to the reference, with the interval that holds for all rows.
    `step_of_reference/flops` and `/seconds` are the cost of a step as a share of the reference's.
    """
    words = headline.words(table, about)
    reference = next((row for row in table if row.is_reference), None)
    lines = []
    for row in table:
        own: Row = {
            "label": row.label,
            "trial": row.trial,
            "system": row.system,
            "kind": row.kind,
            "schedule": row.schedule,
            "steps": row.steps,
            "seeds": row.planned,
            "finished": row.finished,
            "verdict": words.get(row.trial, ""),
        }
        own |= described(row.params, row.experiment)
        for name, spread in row.metrics.items():
            own |= {name: spread.mean} | ({f"sd/{name}": spread.sd} if spread.sd is not None else {})
        step = step_cost(row, reference)
        own |= {"step_of_reference/flops": step.flops, "step_of_reference/seconds": step.seconds}
        for name, found in row.differences.items():
            own[f"difference/{name}"] = found.value
            if found.interval is not None:
                own[f"low/{name}"], own[f"high/{name}"] = found.interval
        lines.append(own)
    return lines


def curve_lines(view: StudyView, table: list[SystemRow], names: tuple[str, ...]) -> list[Row]:
    """Returns a line for each run and step that recorded one of `names`: label, trial, seed_index, step, tflop,
    values.
    """
    labels = {row.trial: row.label for row in table}
    found: list[Row] = []
    for (number, index), run in view.runs.items():
        label = labels.get(number) or f"trial {number}"
        found += ({"label": label, "trial": number, "seed_index": index, **point} for point in _points(run, names))
    return found


def _points(run: RunRecord, names: tuple[str, ...]) -> Iterator[Row]:
    series = {name: dict(run.series.get(name) or run.timing.get(name) or ()) for name in names}
    spent = dict(run.series.get("progress/tflop") or ())
    for step in sorted({step for values in series.values() for step in values}):
        yield {"step": step, "tflop": spent.get(step)} | {name: values.get(step) for name, values in series.items()}


def described(params: Mapping[str, Any], experiment: Experiment | None) -> Row:
    """Returns `param/NAME`, `model/KEY`, `schedule/KEY`: scalars unchanged, lists and pairs as JSON."""
    found: Row = {f"param/{name}": value for name, value in params.items()}
    if experiment is not None:
        found |= _flat("model", experiment.model.model_dump(mode="json"))
        found |= _flat("schedule", experiment.schedule.model_dump(mode="json", exclude=_TEXTS))
    return found


def _flat(name: str, value: Any, dot: str = "/") -> Row:
    if isinstance(value, Mapping):
        found: Row = {}
        for key, inner in value.items():
            found |= _flat(f"{name}{dot}{key}", inner, ".")
        return found
    if value is None:
        return {}
    return {name: canonical_json(value) if isinstance(value, list) else value}


def columns(table: list[Row], first: tuple[str, ...] = FIRST) -> list[str]:
    """Returns every key of the lines: identity first, then descriptions, then metrics; each group sorted by name."""
    names = {key for row in table for key in row} - set(first)
    parts = [[name for name in names if name.split("/")[0] == group and "/" in name] for group in _GROUPS]
    grouped = [name for part in parts for name in sorted(part)]
    return [*(name for name in first if any(name in row for row in table)), *grouped, *sorted(names - set(grouped))]
