"""Brings MLflow's picture of one study up to its files: one parent run, one child a run, explicit ids, batches.

What is already shown is kept in tags of the runs themselves (`pld.seq`: events shown so far), so any process can go on,
and doing it twice changes nothing. A resume that superseded shown points deletes the child and shows it again from the
start, since MLflow cannot take points back.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pld_search.records.events import RunEvent, RunStarted, read_run_events
from pld_search.records.layer_analysis import LayerAnalysis
from pld_search.records.run_record import ANALYSIS, RunRecord, fold, fold_run
from pld_search.records.study_record import StudyRecord, fold_study, run_folder
from pld_search.records.trial_record import TrialRecord
from pld_search.specs.yaml_io import dump
from pld_search.tracking.mlflow_content import (
    ANSWERS,
    Answer,
    Content,
    Point,
    analysis_points,
    points,
    run_content,
    study_content,
    superseded,
)
from pld_search.tracking.mlflow_status import OPEN
from pld_search.tracking.mlflow_store import Store

Picture = Callable[[Mapping[str, Any], Path], None]
Layers = Callable[[str, Sequence[tuple[int, LayerAnalysis]], Path], None]
"""Draws what layers do in one run of this name, by step, into a folder."""
Answering = Callable[[Path], Answer]
"""What the report answers, from a study's folder; asked once the study is complete."""
BATCH = 1000
PARAMS = 100
_REPORTS = ("report.html", "report.csv", "report.json")


@dataclass(slots=True)
class _ShownRun:
    """What MLflow already has of one run."""

    run_id: str
    name: str
    status: str
    tags: dict[str, str]
    fingerprint: object = None

    @property
    def seq(self) -> int:
        return int(self.tags.get("pld.seq", 0))


@dataclass(slots=True)
class StudySync:
    """One study in one store. `picture(experiment, path)` draws a schedule, `layers(name, analyses, folder)` what
    layers do, `answering(folder)` says what a complete study answers; without them there is no picture, and no verdict.
    """

    store: Store
    folder: Path
    picture: Picture | None = None
    answering: Answering | None = None
    layers: Layers | None = None
    _answered: tuple[float | None, Answer] | None = None
    _parent: _ShownRun | None = None
    _children: dict[str, _ShownRun] = field(default_factory=dict)
    _reports: dict[str, int] = field(default_factory=dict)

    def sync(self) -> None:
        """Show everything the files hold now. Raises whatever MLflow raises; calling it again goes on from there."""
        study = fold_study(self.folder)
        if study.created is None:
            return
        answer = self._answer(study)
        parent = self._sync_parent(study, answer)
        for trial in study.trials.values():
            for index in trial.indices:
                self._sync_child(study, trial, index, parent, answer)
        self._sync_reports(parent)

    def _answer(self, study: StudyRecord) -> Answer | None:
        """What a complete study answers, asked once for each end."""
        if self.answering is None or not study.completed:
            return None
        if self._answered is None or self._answered[0] != study.last_time:
            self._answered = (study.last_time, self.answering(self.folder))
        return self._answered[1]

    def _sync_parent(self, study: StudyRecord, answer: Answer | None) -> _ShownRun:
        content = study_content(study, answer)
        assert study.created is not None
        identity = {"pld.study_id": study.id}
        if self._parent is None:
            self._parent = self._find_parent(identity["pld.study_id"])
        if self._parent is None:
            self._parent = self._create(content, identity)
        if "pld.artifacts" not in self._parent.tags:
            self.store.client.log_text(self._parent.run_id, dump(study.created.definition), "study.yaml")
            content.tags["pld.artifacts"] = "1"
        self._describe(self._parent, content)
        return self._parent

    def _find_parent(self, study_id: str) -> _ShownRun | None:
        runs = self._search(f"tags.`pld.study_id` = '{study_id}' and tags.kind = 'study'")
        if not runs:
            return None
        parent = _shown(runs[0])
        for run in self._search(f"tags.`mlflow.parentRunId` = '{parent.run_id}'"):
            self._children[run.data.tags["pld.key"]] = _shown(run)
        return parent

    def _search(self, query: str) -> list[Any]:
        found: list[Any] = []
        token: str | None = None
        while True:
            page = self.store.client.search_runs([self.store.experiment_id], query, max_results=500, page_token=token)
            found.extend(page)
            token = page.token
            if not token:
                return found

    def _create(self, content: Content, identity: dict[str, str]) -> _ShownRun:
        tags = {**identity, **content.tags}
        run = self.store.client.create_run(
            self.store.experiment_id, start_time=content.start, tags=tags, run_name=content.name
        )
        return _ShownRun(run.info.run_id, content.name, run.info.status, tags)

    def _sync_child(
        self, study: StudyRecord, trial: TrialRecord, index: int, parent: _ShownRun, answer: Answer | None
    ) -> None:
        path = run_folder(self.folder, trial, index) / "events.jsonl"
        if not path.exists():
            return
        key = f"{trial.number}/{index}"
        launch, child = trial.launches.get(index), self._children.get(key)
        decided = trial.told and trial.told.seq, len(trial.rungs), trial.promoted
        fingerprint = (
            path.stat().st_size,
            asked.stat().st_size if (asked := path.parent / ANALYSIS / path.name).is_file() else 0,
            launch and (launch.launches, launch.outcome),
            decided,
            study.completed,
            study.paused,
        )
        if child is not None and child.fingerprint == fingerprint and child.status != "RUNNING":
            return
        events = read_run_events(path)
        if not events:
            return
        if child is not None and superseded(events, child.seq):
            self.store.client.delete_run(child.run_id)
            child = None
        content = run_content(study, trial, index, fold(events), answer)
        if child is None:
            child = self._children[key] = self._create(content, {"mlflow.parentRunId": parent.run_id, "pld.key": key})
        self._show_layers(child, content, fold_run(path.parent))
        self._show(child, content, events)
        child.fingerprint = fingerprint

    def _show(self, child: _ShownRun, content: Content, events: Sequence[RunEvent]) -> None:
        if "pld.artifacts" not in child.tags:
            self._log_params(child, content.params)
            self._log_artifacts(child, events)
            content.tags["pld.artifacts"] = "1"
        fresh = [point for point in points(events) if point.seq >= child.seq]
        for start in range(0, len(fresh), BATCH):
            self.store.client.log_batch(
                child.run_id, metrics=[_metric(point) for point in fresh[start : start + BATCH]]
            )
        content.tags["pld.seq"] = str(len(events))
        self._describe(child, content)

    def _show_layers(self, child: _ShownRun, content: Content, run: RunRecord) -> None:
        """The numbers of analyses that are not shown yet, and once the run has ended the pictures of all."""
        shown = child.tags.get("pld.analysed", "").split()
        fresh = [each for each in run.analyses if str(each[0]) not in shown]
        if fresh:
            metrics = [_metric(point) for point in analysis_points(fresh, run)]
            self.store.client.log_batch(child.run_id, metrics=metrics)
            content.tags["pld.analysed"] = " ".join([*shown, *(str(step) for step, _ in fresh)])
        drawn = content.tags.get("pld.analysed", child.tags.get("pld.analysed", ""))
        if self.layers is None or not run.analyses or content.status in OPEN or child.tags.get("pld.drawn") == drawn:
            return
        with tempfile.TemporaryDirectory() as place:
            self.layers(content.name, run.analyses, Path(place))
            self.store.client.log_artifacts(child.run_id, place)
        content.tags["pld.drawn"] = drawn

    def _log_params(self, child: _ShownRun, params: dict[str, str]) -> None:
        from mlflow.entities import Param

        items = [Param(key, value) for key, value in sorted(params.items())]
        for start in range(0, len(items), PARAMS):
            self.store.client.log_batch(child.run_id, params=items[start : start + PARAMS])

    def _log_artifacts(self, child: _ShownRun, events: Sequence[RunEvent]) -> None:
        experiment = next((event.experiment for event in events if isinstance(event, RunStarted)), None)
        if not experiment:
            return
        self.store.client.log_text(child.run_id, dump(experiment), "experiment.yaml")
        if self.picture is not None:
            with tempfile.TemporaryDirectory() as place:
                drawn = Path(place) / "schedule.png"
                self.picture(experiment, drawn)
                self.store.client.log_artifact(child.run_id, str(drawn))

    def _describe(self, run: _ShownRun, content: Content) -> None:
        """Tags that changed, the name, then the status."""
        from mlflow.entities import RunTag

        changed = {key: value for key, value in content.tags.items() if run.tags.get(key) != value}
        changed |= {key: "" for key in ANSWERS if run.tags.get(key) and key not in content.tags}  # the study went on
        if changed:
            self.store.client.log_batch(run.run_id, tags=[RunTag(key, value[:5000]) for key, value in changed.items()])
            run.tags.update(changed)
        if run.name != content.name:
            self.store.client.update_run(run.run_id, name=content.name)
            run.name = content.name
        if run.status == content.status:
            return
        if content.status in OPEN:
            self.store.client.update_run(run.run_id, status=content.status)
        else:
            self.store.client.set_terminated(run.run_id, content.status, content.end)
        run.status = content.status

    def _sync_reports(self, parent: _ShownRun) -> None:
        for name in _REPORTS:
            path = self.folder / name
            written = path.stat().st_mtime_ns if path.exists() else 0
            if written and self._reports.get(name) != written:
                self.store.client.log_artifact(parent.run_id, str(path))
                self._reports[name] = written


def _shown(run: Any) -> _ShownRun:
    return _ShownRun(run.info.run_id, run.info.run_name, run.info.status, dict(run.data.tags))


def _metric(point: Point) -> Any:
    from mlflow.entities import Metric

    return Metric(point.key, point.value, point.time, point.step)
