"""The coordinator's memory: `study.jsonl` and its fold, always kept in step."""

from __future__ import annotations

from pathlib import Path

from pld_search.errors import StudyError
from pld_search.records.study_events import StudyEvent, TrialAsked, TrialEvent, read_study_events
from pld_search.records.study_record import StudyRecord, StudyWriter, apply, fold
from pld_search.search.trial_index import TrialIndex


class Ledger:
    """Writes the study's records; `study` is the fold of everything written so far, `index` finds its
    trials.

    `count` is the number of records this process wrote. `changed` is set by every record and by any caller that saw a
    run's events grow; the loop clears it after it notified the observers.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / "study.jsonl"
        self.folder = folder
        self.study: StudyRecord = fold(read_study_events(path))
        self.index = TrialIndex(self.study.trials.values())
        self.changed = False
        self.count = 0
        self._writer = StudyWriter(path)

    def write(self, event: StudyEvent) -> None:
        """Appends a record, on disk before this returns, and applies it to the fold. Raises StudyError when it cannot
        be written.
        """
        try:
            record = self._writer.write(event)
        except OSError as error:
            raise StudyError(
                f"{self.folder}: the study cannot be recorded ({error.strerror}); once this is fixed, the same command "
                "goes on"
            ) from error
        apply(self.study, record)
        if isinstance(record, TrialAsked | TrialEvent):
            self.index.update(self.study.trials[record.trial])
        self.count += 1
        self.changed = True

    def close(self) -> None:
        """Close `study.jsonl`."""
        self._writer.close()
