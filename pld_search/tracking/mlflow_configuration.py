"""The MLflow content of a configuration, between the study and the runs of its seeds: means over seeds, so that a table
and a chart compare systems and not seeds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from pld_search.frozen import digest_of
from pld_search.records.run_record import RunRecord
from pld_search.records.status import run_status, trial_status
from pld_search.records.study_record import StudyRecord
from pld_search.records.trial_record import TrialRecord
from pld_search.specs.metrics import is_downstream
from pld_search.statistics.spread import Spread
from pld_search.tracking.mlflow_content import (
    LEVEL,
    Answer,
    Content,
    Point,
    label,
    milliseconds,
    params,
    stated,
    trial_tags,
)
from pld_search.tracking.mlflow_status import Status, study_status

ONCE = 0
"""The step of a number that a configuration has once. MLflow draws numbers of later steps as curves."""
SPREAD = "sd/"
"""Prefix of a metric's sample standard deviation over seeds."""
_LOSSES = ("valid/loss", "test/loss")
_LOST = ("diverged", "failed", "pruned", "rejected")


def configuration_content(
    study: StudyRecord, trial: TrialRecord, runs: Mapping[int, RunRecord], answer: Answer | None
) -> Content:
    """Returns name, status, tags and params of a configuration. `runs` are the runs of its seeds, by seed index; at
    least one has an event.
    """
    begun = [run for run in runs.values() if run.started]
    status = _status(study, trial)
    tags = {
        **trial_tags(study, trial, begun[0], answer),
        LEVEL: "configuration",
        "state": trial_status(trial),
        "seeds": str(len(runs)),
    }
    start = min(milliseconds(run.first_time) for run in begun)
    end = None if status == "RUNNING" else max(milliseconds(run.last_time) for run in begun)
    return Content(label(trial), status, start, end, stated(tags), params(trial, begun[0]))


def _status(study: StudyRecord, trial: TrialRecord) -> Status:
    """Returns RUNNING while the configuration is open and a coordinator works on the study."""
    found = trial_status(trial)
    if found == "open":
        return "RUNNING" if study_status(study) == "RUNNING" else "KILLED"
    return "FAILED" if found == "failed" else "FINISHED"


def mean_points(trial: TrialRecord, runs: Mapping[int, RunRecord], shown: Mapping[int, Sequence[Point]]) -> list[Point]:
    """Returns every metric as the mean over the finished runs, at the steps that all of them have, and `sd/NAME` at the
    end. `shown` holds the points of each finished run.

    When a run was lost, the losses and scores of the other runs are left out, as in the report: the surviving runs are
    a biased sample.
    """
    lost = any(run_status(trial, index, run).state in _LOST for index, run in runs.items())
    values: dict[tuple[str, int], list[Point]] = defaultdict(list)
    for run_points in shown.values():
        for point in run_points:
            if math.isfinite(point.value) and not (lost and _of_quality(point.key)):
                values[point.key, point.step].append(point)
    whole = {place: found for place, found in values.items() if len(found) == len(shown)}
    ends = {key: max(step for name, step in whole if name == key) for key in {key for key, _ in whole}}
    points = []
    for (key, step), found in sorted(whole.items()):
        spread = Spread.of([point.value for point in found])
        time = max(point.time for point in found)
        points.append(Point(key, spread.mean, time, step, 0))
        if spread.sd is not None and step == ends[key]:
            points.append(Point(SPREAD + key, spread.sd, time, ONCE, 0))
    return points


def _of_quality(key: str) -> bool:
    return key in _LOSSES or is_downstream(key)


def digest(points: Sequence[Point]) -> str:
    """Returns a short digest of a set of points; MLflow keeps it as a tag."""
    return digest_of([[point.key, point.step, point.value] for point in points])[7:23]
