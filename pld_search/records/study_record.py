"""The records that only the coordinator of a study writes: the writer of `study.jsonl`, and its fold, which the
coordinator itself, mirror and report use.

study_events.py defines the kinds of records.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from pld_search.records import jsonl
from pld_search.records.definition import StudyDefinition
from pld_search.records.fold_store import fold_store
from pld_search.records.run_record import RunRecord, branch_folder
from pld_search.records.study_events import (
    ContrastFixed,
    LaunchEvent,
    LooksDeclared,
    ProfileRecorded,
    RunKey,
    SearchAssessed,
    SearchDecided,
    SearchExplained,
    SearchRecommended,
    StorageChanged,
    StudyCompleted,
    StudyCreated,
    StudyEvent,
    StudyLooked,
    StudyOpened,
    StudyPaused,
    StudyPrepared,
    SystemChosen,
    SystemTuned,
    TrialAsked,
    TrialEvent,
    TrialPromoted,
    UnknownStudyEvent,
    ValuesBorrowed,
    read_study_events,
)
from pld_search.records.trial_record import TrialRecord, apply_to_trial

RECORDS = "study.jsonl"
_LOOKING = (StudyOpened, StudyPrepared, ProfileRecorded, StorageChanged, UnknownStudyEvent)
"""Events that do not undo the completion of a study; all other events are new work and undo it."""


class StudyWriter:
    """Appends the coordinator's records; every record reaches the disk before the coordinator acts on it."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._seq = len(jsonl.read(path))
        self._writer = jsonl.Writer(path)
        self._clock = clock

    def write(self, event: StudyEvent) -> StudyEvent:
        """Appends a record with the next `seq` and the current time; returns it with both."""
        written = replace(event, seq=self._seq, time=self._clock())
        self._writer.write(written.record(), durable=True)
        self._seq += 1
        return written

    def close(self) -> None:
        """Closes `study.jsonl`; a second call does nothing."""
        self._writer.close()


@dataclass(slots=True)
class StudyRecord:
    """The fold of a study's records; `session` is the last coordinator's, `profiles` are trees by architecture.

    `decided` is the search's last decision until it has been followed; `contrast` is the contrast of the confirmation;
    `at_first_run` is the definition at the time of the first launch.

    Readers share a record from `fold_study`, so nobody may change it.
    """

    created: StudyCreated | None = None
    prepared: StudyPrepared | None = None
    session: StudyOpened | None = None
    trials: dict[int, TrialRecord] = field(default_factory=dict)
    chosen: dict[str, SystemChosen] = field(default_factory=dict)
    tuned: dict[str, SystemTuned] = field(default_factory=dict)
    recommended: SearchRecommended | None = None
    looks: LooksDeclared | None = None
    looked: list[StudyLooked] = field(default_factory=list)
    explained: SearchExplained | None = None
    borrowed: ValuesBorrowed | None = None
    assessed: SearchAssessed | None = None
    decided: SearchDecided | None = None
    profiles: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    contrast: ContrastFixed | None = None
    at_first_run: StudyDefinition | None = None
    completed: bool = False
    paused: bool = False
    storage_away: str | None = None
    first_time: float | None = None
    last_time: float | None = None

    def __repr__(self) -> str:
        """Returns the fold in one line."""
        return f"<study {self.name}: {len(self.trials)} trials>"

    @property
    def name(self) -> str:
        """The study's name; empty before it is created."""
        return self.created.name if self.created else ""

    @property
    def id(self) -> str:
        """The study's identifier; empty before it is created."""
        return str(self.created.id) if self.created else ""

    @property
    def definition(self) -> StudyDefinition:
        """The definition of the last coordinator's study; empty before the study is created."""
        tree = (self.session and self.session.definition) or (self.created and self.created.definition)
        return StudyDefinition(tree or {})


def fold(events: Iterable[StudyEvent]) -> StudyRecord:
    """Folds a study's records."""
    record = StudyRecord()
    for event in events:
        apply(record, event)
    return record


def apply(record: StudyRecord, event: StudyEvent) -> None:
    """Applies one more record to the fold."""
    record.first_time = event.time if record.first_time is None else record.first_time
    record.last_time = event.time
    record.paused = isinstance(event, StudyPaused)
    if isinstance(event, LaunchEvent) and record.at_first_run is None:
        record.at_first_run = record.definition
    if not isinstance(event, _LOOKING):
        record.completed = isinstance(event, StudyCompleted)
    match event:
        case StudyCreated():
            record.created = event
        case StudyOpened():
            record.session, record.storage_away = event, None
        case StudyPrepared():
            record.prepared = event
        case TrialAsked():
            record.trials[event.trial] = TrialRecord.of(event)
            record.decided = record.decided if event.kind != "sampled" else None
        case ProfileRecorded():
            record.profiles[event.architecture] = event.profile
        case SystemChosen():
            record.chosen[event.system] = event
        case SystemTuned():
            record.tuned[event.system] = event
        case SearchRecommended():
            record.recommended = event
        case LooksDeclared():
            record.looks = record.looks or event
        case StudyLooked():
            record.looked.append(event)
        case ValuesBorrowed():
            record.borrowed = event
        case SearchAssessed():
            record.assessed = event
        case SearchExplained():
            record.explained = event
        case SearchDecided():
            record.decided = event
        case ContrastFixed():
            record.contrast = record.contrast or event  # only the first one holds
        case StorageChanged():
            record.storage_away = event.reason if event.away else None
        case _ if isinstance(event, TrialEvent):
            if isinstance(event, TrialPromoted):
                record.decided = None
            apply_to_trial(record.trials[event.trial], event)


def fold_study(folder: Path) -> StudyRecord:
    """Returns the fold of `folder/study.jsonl`; an empty one if there is no file. The same record is returned while the
    file is unchanged.

    Raises StudyError for a damaged file.
    """
    path = folder / RECORDS
    version = jsonl.version_of(path)
    return StudyRecord() if version is None else _folded(path, version)


@lru_cache(maxsize=8)
@jsonl.uncollected()
def _folded(path: Path, _version: jsonl.Version) -> StudyRecord:
    """Folds the file of a study; a pure function of its content, which `_version` stands for."""
    return fold(read_study_events(path))


def trial_folder(study: Path, trial: int, seed_index: int) -> Path:
    """Returns the folder of a run: `<study>/trials/0007/seed-0`."""
    return study / f"trials/{trial:04d}/seed-{seed_index}"


def run_folder(study: Path, trial: TrialRecord, seed_index: int) -> Path:
    """Returns the folder of the events that count for a run: its own folder, or the folder of the run that it
    reuses.
    """
    return trial_folder(study, *trial.source(seed_index))


@dataclass(slots=True)
class StudyView:
    """A study and all its runs, read from files only. `runs` is keyed by (trial, seed index), `branches` by (trial,
    seed index, rung).
    """

    folder: Path
    study: StudyRecord
    runs: dict[RunKey, RunRecord]
    branches: dict[tuple[int, int, int], RunRecord] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Returns the study in one line, without its records."""
        return (
            f"<records of {self.study.name or self.folder.name}: {len(self.study.trials)} trials, "
            f"{len(self.runs)} runs>"
        )


def view(folder: Path) -> StudyView:
    """Folds `study.jsonl` and the events of every run that was asked for."""
    study = fold_study(folder)
    if not study.trials:
        return StudyView(folder, study, {})
    store = fold_store(folder)
    runs = {
        (trial.number, index): store.run(run_folder(folder, trial, index))
        for trial in study.trials.values()
        for index in trial.indices
    }
    left = [
        (trial, index, rung)
        for trial in study.trials.values()
        for index, steps in trial.branched.items()
        for rung, at in enumerate(trial.rung_steps)
        if at in steps
    ]
    branches = {
        (trial.number, index, rung): store.run(
            branch_folder(trial_folder(folder, trial.number, index), trial.rung_steps[rung])
        )
        for trial, index, rung in left
    }
    store.keep()
    return StudyView(folder, study, runs, branches)
