"""The MLflow content of a study and of a run, as plain values computed from files; this module does not import MLflow.

mlflow_configuration.py computes the content of a configuration, which lies between the two.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pld_search.frozen import canonical_json
from pld_search.host.processes import user
from pld_search.records.events import (
    RunEvaluated,
    RunEvent,
    RunFinished,
    RunRecovered,
    RunResumed,
    RunStarted,
    numbers_of,
)
from pld_search.records.layer_analysis import LayerAnalysis
from pld_search.records.run_record import RunRecord, surviving
from pld_search.records.status import trial_status
from pld_search.records.study_record import StudyRecord
from pld_search.records.trial_record import TrialRecord
from pld_search.specs.metrics import GROUPS
from pld_search.tracking.mlflow_status import OPEN, Status, run_standing, study_status

MAX_POINTS = 2000
MAX_KEYS = 40
MAX_PARAM = 500
ANSWERS = ("verdict", "winner", "mlflow.note.content")
"""Tags that hold an answer; they are deleted when a complete study goes on."""
LEVEL = "level"
"""The tag with the level of a run: study, configuration or seed. The views filter by it."""
DIFFERENCE = "difference/"
"""Prefix of a metric's difference between a configuration and the reference, as the report states it."""
_SUMMED = ("drop/", "speed/", "progress/", "valid/")
"""Metrics whose last value comes from the end of the run, as in the report: over the whole run, or over more held-out
sequences than the series uses.
"""
_NAMES = re.compile(rf"({'|'.join(GROUPS)})/[\w./-]{{1,200}}")


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a metric; `time` in milliseconds, `seq` the number of its event."""

    key: str
    value: float
    time: int
    step: int
    seq: int


@dataclass(frozen=True, slots=True)
class Content:
    """One MLflow run without its metrics; times in milliseconds, `end` is None while the run goes on."""

    name: str
    status: Status
    start: int
    end: int | None
    tags: dict[str, str]
    params: dict[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """The report's answers: its headline, the text on the row of each trial, the winning trial, and further figures of
    each trial (its difference to the reference).
    """

    headline: str
    words: Mapping[int, str]
    winner: int | None = None
    figures: Mapping[int, Mapping[str, float]] = field(default_factory=dict)


def milliseconds(seconds: float | None) -> int:
    """Converts seconds to Unix milliseconds, as MLflow counts."""
    return round(1000 * (seconds or 0))


def points(events: Sequence[RunEvent]) -> list[Point]:
    """Returns every point of a run that is shown, in the order of its events.

    Events that a resume superseded are left out. A key has at most MAX_POINTS points: in each 1/1900 of the run only
    the first point is shown, so the selection does not change as the run grows; of two points at one step the first is
    shown. A metric that the end of a run sums up gets its last point once the run has finished, because MLflow cannot
    remove points.
    """
    total, kept = _steps(events), surviving(events)
    end = next((event for event in reversed(kept) if isinstance(event, RunFinished)), None)
    summaries = [event for event in kept if isinstance(event, RunEvaluated | RunFinished)]
    sums = {key: number for event in summaries for key, number in numbers_of(event).items()}
    shown: list[Point] = []
    last: dict[str, tuple[int, int]] = {}
    for event in kept:
        for key, number in sorted(numbers_of(event).items()):
            step, seq, value = event.step, event.seq, number
            if step >= total and key.startswith(_SUMMED):
                if end is None:
                    continue
                value, seq = sums.get(key, number), end.seq
            before, place = last.get(key), step * (MAX_POINTS - 100) // max(1, total)
            crowded = before is not None and (before[0] == step or (before[1] == place and step < total))
            if crowded or not _NAMES.fullmatch(key) or (before is None and len(last) >= MAX_KEYS):
                continue
            last[key] = (step, place)
            shown.append(Point(key, float(value), milliseconds(event.time), step, seq))
    return shown


def analysis_points(analyses: Sequence[tuple[int, LayerAnalysis]], run: RunRecord) -> list[Point]:
    """Returns one number for each question of each analysis of a run; `seq` is 0: analyses are tracked by their
    steps.
    """
    at = milliseconds(run.last_time)
    return [Point(key, value, at, step, 0) for step, found in analyses for key, value in found.summary().items()]


def _steps(events: Sequence[RunEvent]) -> int:
    """Returns the run's number of steps from its first event that states it; else the number of steps reached."""
    stated = (event.steps for event in events if isinstance(event, RunStarted))
    found = next((steps for steps in stated if steps is not None), None)
    return max((event.step for event in events), default=1) if found is None else found


def superseded(events: Sequence[RunEvent], shown: int) -> bool:
    """Whether a resume or a recovery after the first `shown` events dropped one of them that holds metrics."""
    resumes = [event.from_step for event in events[shown:] if isinstance(event, RunResumed | RunRecovered)]
    steps = [event.step for event in events[:shown] if numbers_of(event)]
    return len(events) < shown or (bool(resumes) and bool(steps) and min(resumes) < max(steps))


def study_content(study: StudyRecord, answer: Answer | None = None) -> Content:
    """Returns the parent run: the study itself, and its answers once it is complete."""
    status = study_status(study)
    counts = Counter(trial_status(trial) for trial in study.trials.values())
    tags = {
        "study": study.name,
        "kind": "study",
        LEVEL: "study",
        "state": "completed" if study.completed else "running" if status == "RUNNING" else "paused",
        "trials": str(len(study.trials)),
        "trials_complete": str(counts["complete"]),
        "trials_failed": str(counts["failed"]),
        "trials_infeasible": str(counts["rejected"]),
        "trials_stopped_early": str(counts["pruned"]),
    }
    about = study.definition.about
    where = (
        "The comparison is in the artifact `report.html`. Child runs are configurations, whose metrics are means over "
        "seeds (`sd/` their deviation); below each are the runs of its seeds."
    )
    headline = answer.headline if answer is not None else ""
    tags["mlflow.note.content"] = "\n\n".join(text for text in (headline, about, where) if text)
    if headline:
        tags["verdict"] = headline
    if answer is not None and answer.winner is not None:
        tags["winner"] = label(study.trials[answer.winner])
    end = None if status == "RUNNING" else milliseconds(study.last_time)
    return Content(study.name, status, milliseconds(study.first_time), end, tags | source_tags(None), {})


def label(trial: TrialRecord, index: int | None = None) -> str:
    """Returns the short name of a configuration, `falling #6`, or of the run of a seed, `falling #6 s0`."""
    name = f"{trial.system or trial.asked.schedule or 'sampled'} #{trial.number}"
    return name if index is None else f"{name} s{index}"


def source_tags(run: RunRecord | None) -> dict[str, str]:
    """Returns the tags of MLflow's columns `User`, `Source` and `Version`."""
    tags = {"mlflow.user": user(), "mlflow.source.name": "pld-search", "mlflow.source.type": "LOCAL"}
    commit = run.provenance.get("commit") if run is not None else None
    return tags | ({"mlflow.source.git.commit": str(commit)} if commit else {})


def run_content(
    study: StudyRecord, trial: TrialRecord, index: int, run: RunRecord, answer: Answer | None = None
) -> Content:
    """Returns a child run: one configuration with one seed, and the verdict on its row."""
    launch, standing = trial.launches.get(index), run_standing(trial, index, run)
    tags = {
        **trial_tags(study, trial, run, answer),
        LEVEL: "seed",
        "seed": str(index if run.seed is None else run.seed),
        "seed_index": str(index),
        "state": standing.state,
        "outcome": standing.outcome,
        "reason": run.reason
        or (launch.reason if launch else None)
        or (trial.told.reason if trial.told else None)
        or "",
        "rungs": ", ".join(f"{_numbers(rung.values)} at step {rung.steps:,}" for rung in trial.rungs),
        "attempts": str(run.attempt),
        "executed_steps": str(run.executed_steps),
        "reused_from": "/".join(str(word) for word in trial.reused.get(index, ())),
        **_provenance_tags(run),
    }
    end = None if standing.status in OPEN else milliseconds(run.last_time)
    # the run's name is the only column that MLflow always shows
    ended_early = f", {standing.outcome}" if standing.state in ("pruned", "diverged") else ""
    name = label(trial, index) + ended_early
    return Content(name, standing.status, milliseconds(run.first_time), end, stated(tags), params(trial, run))


def stated(tags: Mapping[str, str]) -> dict[str, str]:
    """Returns the non-empty tags."""
    return {key: value for key, value in tags.items() if value}


def trial_tags(study: StudyRecord, trial: TrialRecord, run: RunRecord, answer: Answer | None) -> dict[str, str]:
    """Returns the tags that a configuration shares with the runs of its seeds; `run` is one of them."""
    return {
        "study": study.name,
        "kind": trial.kind,
        "system": trial.system or "",
        "trial": str(trial.number),
        "digest": str(trial.asked.digest),
        **source_tags(run),
        **_answer_tags(trial, answer),
        **_schedule_tags(trial, run),
    }


def _answer_tags(trial: TrialRecord, answer: Answer | None) -> dict[str, str]:
    """Returns the verdict of a trial, also as its note, and whether it won; empty before the study is complete."""
    if answer is None:
        return {}
    words, name = answer.words.get(trial.number), trial.system or f"trial {trial.number}"
    tags = {"verdict": words, "mlflow.note.content": f"{name}: {words}"} if words else {}
    return tags | ({"winner": "true"} if answer.winner == trial.number else {})


def _numbers(values: Sequence[float]) -> str:
    return " / ".join(f"{value:.6g}" for value in values)


def _schedule_tags(trial: TrialRecord, run: RunRecord) -> dict[str, str]:
    """Returns the schedule's name and the kinds of its parts, to group runs by."""
    schedule = run.schedule
    kinds = {f"schedule.{part}": kind for part, kind in schedule.kinds.items()}
    return {"schedule": trial.asked.schedule or schedule.name or "", **kinds}


def _provenance_tags(run: RunRecord) -> dict[str, str]:
    """Returns commit, versions, device and threads of the last attempt."""
    tags = {word: value for word, value in flat(run.execution).items() if word in ("device", "threads")}
    for key, value in sorted(flat(run.provenance).items()):
        tags.setdefault(key if key in ("commit", "device", "threads") else f"provenance.{key}", value)
    return tags


def params(trial: TrialRecord, run: RunRecord) -> dict[str, str]:
    """Returns the whole experiment by dotted paths, and the sampled parameters under `space.`."""
    found = flat({key: value for key, value in run.experiment_tree.items() if key != "seed"})
    found.pop("schedule.about", None)
    found.pop("schedule.source", None)
    sampled = {f"space.{key}": str(value) for key, value in trial.asked.params.items()}
    return {key: value[:MAX_PARAM] for key, value in {**found, **sampled}.items() if value}


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Flattens a tree to dotted paths with text values; lists as JSON, None left out."""
    result: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            result.update(flat(value, f"{prefix}{key}."))
        elif value is not None:
            result[prefix + key] = canonical_json(value) if isinstance(value, list | tuple | bool) else str(value)
    return result
