"""Brings MLflow up to date with the files of one study: one parent run, a run below it for each configuration, and a
run below that for each seed, with explicit ids and in batches.

The progress is kept in tags of the runs themselves (`pld.seq`: number of events shown), so any process can continue,
and repeating an update changes nothing. When a resume superseded points that are already shown, the run is deleted and
shown again from the start, because MLflow cannot remove points.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pld_search.records.events import RunEvent, RunStarted, read_run_events
from pld_search.records.layer_analysis import LayerAnalysis
from pld_search.records.run_record import ANALYSIS, RunRecord, fold, fold_run
from pld_search.records.study_record import StudyRecord, fold_study, run_folder
from pld_search.records.trial_record import TrialRecord
from pld_search.spaces.decide import decision
from pld_search.specs.yaml_io import dump
from pld_search.tracking.mlflow_configuration import ONCE, configuration_content, digest, mean_points
from pld_search.tracking.mlflow_content import (
    Answer,
    Content,
    Point,
    analysis_points,
    milliseconds,
    points,
    run_content,
    study_content,
    superseded,
)
from pld_search.tracking.mlflow_inputs import MODEL, DatasetUsed, datasets, last_checkpoint, log_datasets, log_model
from pld_search.tracking.mlflow_status import OPEN
from pld_search.tracking.mlflow_store import STUDY, Store
from pld_search.tracking.mlflow_views import view_tags
from pld_search.tracking.shown_run import PARENT, SEQ, ShownRun, create, describe, log_points

Picture = Callable[[Mapping[str, Any], Path], None]
Layers = Callable[[str, Sequence[tuple[int, LayerAnalysis]], Path], None]
"""Draws the layer analyses of the run of this name, by step, into a folder."""
Answering = Callable[[Path], Answer]
"""Computes the report's answers from a study's folder; called once the study is complete."""
_KEY = "pld.key"
"""The tag with the configuration (`6`) or the seed (`6/0`) that a run shows."""
MEANS = "pld.means"
"""The tag of a configuration with the digest of the means it shows."""
_ARTIFACTS, _FIGURES = "pld.artifacts", "pld.figures"
_ANALYSED, _DRAWN = "pld.analysed", "pld.drawn"
_REPORTS = ("report.html", "report.csv", "report.json")


@dataclass(slots=True)
class StudySync:
    """Mirrors one study in one store. `picture(experiment, path)` draws a schedule, `layers(name, analyses, folder)`
    draws layer analyses, and `answering(folder)` returns the answers of a complete study. Each of the three may be
    None; its picture or verdict is then missing.
    """

    store: Store
    folder: Path
    picture: Picture | None = None
    answering: Answering | None = None
    layers: Layers | None = None
    _answered: tuple[float | None, Answer] | None = None
    _parent: ShownRun | None = None
    _below: dict[str, ShownRun] = field(default_factory=dict)
    _datasets: Sequence[DatasetUsed] = ()
    _reports: dict[str, int] = field(default_factory=dict)

    def sync(self) -> None:
        """Shows the current contents of the files. Raises any exception of MLflow; a further call continues
        from there.
        """
        study = fold_study(self.folder)
        if study.created is None:
            return
        answer = self._answer(study)
        self._datasets = datasets(study)
        parent = self._sync_parent(study, answer)
        for trial in study.trials.values():
            self._sync_trial(study, trial, parent, answer)
        if answer is not None and answer.winner is not None:
            self._show_winner(study, parent, study.trials[answer.winner])
        self._sync_reports(parent)

    def _answer(self, study: StudyRecord) -> Answer | None:
        """Returns the answers of a complete study, computed once for each end."""
        if self.answering is None or not study.completed:
            return None
        if self._answered is None or self._answered[0] != study.last_time:
            self._answered = (study.last_time, self.answering(self.folder))
        return self._answered[1]

    def _sync_parent(self, study: StudyRecord, answer: Answer | None) -> ShownRun:
        content = study_content(study, answer)
        assert study.created is not None
        if self._parent is None:
            self._find_shown(study.id)
            self.store.show_views(view_tags(*_shown_first(study), content.start))
        if self._parent is None:
            self._parent = self._create(content, study, {})
        if _ARTIFACTS not in self._parent.tags:
            self.store.client.log_text(self._parent.run_id, dump(study.created.definition), "study.yaml")
            content.tags[_ARTIFACTS] = "1"
        describe(self.store, self._parent, content)
        return self._parent

    def _find_shown(self, study_id: str) -> None:
        """Reads back the runs that MLflow has of the study."""
        for run in map(ShownRun.of, self.store.search(f"tags.`{STUDY}` = '{study_id}'")):
            if _KEY in run.tags:
                self._below[run.tags[_KEY]] = run
            else:
                self._parent = run

    def _create(self, content: Content, study: StudyRecord, identity: Mapping[str, str]) -> ShownRun:
        run = create(self.store, content, {STUDY: study.id, **identity})
        log_datasets(self.store, run.run_id, self._datasets)
        return run

    def _sync_trial(self, study: StudyRecord, trial: TrialRecord, parent: ShownRun, answer: Answer | None) -> None:
        """Updates the run of a configuration and one run for each of its seeds that has begun."""
        begun = _begun(self.folder, trial)
        if not begun:
            return
        own = self._sync_configuration(study, trial, begun, parent, answer)
        for index, path in begun.items():
            self._sync_seed(study, trial, index, path, own, answer)

    def _sync_configuration(
        self, study: StudyRecord, trial: TrialRecord, paths: Mapping[int, Path], parent: ShownRun, answer: Answer | None
    ) -> ShownRun:
        key, outcomes = str(trial.number), [(index, launch.outcome) for index, launch in trial.launches.items()]
        own, fingerprint = self._below.get(key), (_coordinator_state(study, trial), tuple(paths), outcomes)
        if own is not None and own.fingerprint == fingerprint and own.status != "RUNNING":
            return own
        runs = {index: fold_run(path.parent) for index, path in paths.items()}
        content = configuration_content(study, trial, runs, answer)
        means = [] if trial.open else _means(trial, runs, paths)
        content.tags[MEANS] = digest(means)
        if own is not None and own.tags.get(MEANS) != content.tags[MEANS]:
            self.store.remove(own.run_id)  # other runs have ended since, so the means differ
            own = None
        if own is None:
            own = self._below[key] = self._create(content, study, {PARENT: parent.run_id, _KEY: key})
            log_points(self.store, own, means)
        if answer is not None and means:
            content.tags[_FIGURES] = self._log_figures(own, answer.figures.get(trial.number, {}), study)
        describe(self.store, own, content)
        own.fingerprint = fingerprint
        return own

    def _log_figures(self, own: ShownRun, figures: Mapping[str, float], study: StudyRecord) -> str:
        """Logs the report's figures of a configuration; returns their digest."""
        time = milliseconds(study.last_time)
        found = [Point(key, value, time, ONCE, 0) for key, value in sorted(figures.items())]
        if own.tags.get(_FIGURES) != digest(found):
            log_points(self.store, own, found)
        return digest(found)

    def _sync_seed(
        self, study: StudyRecord, trial: TrialRecord, index: int, path: Path, own: ShownRun, answer: Answer | None
    ) -> None:
        key = f"{trial.number}/{index}"
        launch, child = trial.launches.get(index), self._below.get(key)
        fingerprint = (
            path.stat().st_size,
            asked.stat().st_size if (asked := path.parent / ANALYSIS / path.name).is_file() else 0,
            launch and (launch.launches, launch.outcome),
            _coordinator_state(study, trial),
            own.run_id,
        )
        if child is not None and child.fingerprint == fingerprint and child.status != "RUNNING":
            return
        events = read_run_events(path)
        if not events:
            return
        if child is not None and superseded(events, child.seq):
            self.store.remove(child.run_id, child.tags.get(MODEL))
            child = None
        content = run_content(study, trial, index, fold(events), answer)
        content.tags[PARENT] = own.run_id
        if child is None:
            child = self._below[key] = self._create(content, study, {_KEY: key})
        self._show_layers(child, content, fold_run(path.parent))
        self._show(child, content, events, path.parent)
        child.fingerprint = fingerprint

    def _show(self, child: ShownRun, content: Content, events: Sequence[RunEvent], folder: Path) -> None:
        if _ARTIFACTS not in child.tags:
            self._log_artifacts(child, events)
            content.tags[_ARTIFACTS] = "1"
        found, seen = points(events), child.seq
        checkpoint = last_checkpoint(events)
        model = child.tags.get(MODEL)
        if checkpoint is not None and model is None:
            place = str(folder.joinpath(checkpoint.folder).relative_to(self.folder.parent))
            model = log_model(self.store, child.run_id, content.name, place, checkpoint.step, content.params)
            content.tags[MODEL] = model
            log_points(self.store, child, [point for point in found if point.step >= checkpoint.step], model)
            found = [point for point in found if point.step < checkpoint.step]
        log_points(self.store, child, [point for point in found if point.seq >= seen])
        content.tags[SEQ] = str(len(events))
        describe(self.store, child, content)

    def _show_layers(self, child: ShownRun, content: Content, run: RunRecord) -> None:
        """Logs the analyses that are not shown yet; after the run's end also the pictures of all analyses."""
        shown = child.tags.get(_ANALYSED, "").split()
        fresh = [each for each in run.analyses if str(each[0]) not in shown]
        if not run.analyses:
            return
        log_points(self.store, child, analysis_points(fresh, run))
        content.tags[_ANALYSED] = " ".join([*shown, *(str(step) for step, _ in fresh)])
        if self.layers is None or content.status in OPEN or child.tags.get(_DRAWN) == content.tags[_ANALYSED]:
            return
        with tempfile.TemporaryDirectory() as place:
            self.layers(content.name, run.analyses, Path(place))
            self.store.client.log_artifacts(child.run_id, place)
        content.tags[_DRAWN] = content.tags[_ANALYSED]

    def _log_artifacts(self, child: ShownRun, events: Sequence[RunEvent]) -> None:
        experiment = next((event.experiment for event in events if isinstance(event, RunStarted)), None)
        if not experiment:
            return
        self.store.client.log_text(child.run_id, dump(experiment), "experiment.yaml")
        if self.picture is not None:
            with tempfile.TemporaryDirectory() as place:
                drawn = Path(place) / "schedule.png"
                self.picture(experiment, drawn)
                self.store.client.log_artifact(child.run_id, str(drawn))

    def _show_winner(self, study: StudyRecord, parent: ShownRun, trial: TrialRecord) -> None:
        """Logs the winner's metrics at the end on the study's own run."""
        own = self._below.get(str(trial.number))
        if own is None or parent.tags.get(MEANS) == own.tags.get(MEANS):
            return
        paths = _begun(self.folder, trial)
        runs = {index: fold_run(path.parent) for index, path in paths.items()}
        last, time = {point.key: point for point in _means(trial, runs, paths)}, milliseconds(study.last_time)
        log_points(self.store, parent, [replace(point, time=time, step=ONCE) for point in last.values()])
        parent.tags[MEANS] = own.tags[MEANS]
        self.store.client.set_tag(parent.run_id, MEANS, own.tags[MEANS])

    def _sync_reports(self, parent: ShownRun) -> None:
        for name in _REPORTS:
            path = self.folder / name
            written = path.stat().st_mtime_ns if path.exists() else 0
            if written and self._reports.get(name) != written:
                self.store.client.log_artifact(parent.run_id, str(path))
                self._reports[name] = written


def _coordinator_state(study: StudyRecord, trial: TrialRecord) -> object:
    """Returns the coordinator's state of a trial; while it stays equal, only a run's own events can change its
    picture.
    """
    return (trial.told and trial.told.seq, len(trial.rungs), trial.promoted, study.completed, study.paused)


def _begun(folder: Path, trial: TrialRecord) -> dict[int, Path]:
    """Returns the event files of a configuration's runs that have begun, by seed index."""
    paths = {index: run_folder(folder, trial, index) / "events.jsonl" for index in trial.indices}
    return {index: path for index, path in paths.items() if path.exists() and path.stat().st_size}


def _means(trial: TrialRecord, runs: Mapping[int, RunRecord], paths: Mapping[int, Path]) -> list[Point]:
    """Returns the means over the counted runs: as in the report, the confirming runs once one of them has ended."""
    confirmed = any(runs[index].ended for index in trial.confirming if index in runs)
    counted = {index: runs[index] for index in (trial.confirming if confirmed else trial.seeds) if index in runs}
    finished = [index for index, run in counted.items() if run.state == "finished"]
    return mean_points(trial, counted, {index: points(read_run_events(paths[index])) for index in finished})


def _shown_first(study: StudyRecord) -> tuple[str, list[str]]:
    """Returns the primary metric of the rows, and the averages of the study's task suites."""
    suites = dict.fromkeys(str(task["suite"]) for task in (study.prepared.tasks if study.prepared else ()))
    return str(decision(study.definition.tree).primary), [f"{suite}/average" for suite in suites]
