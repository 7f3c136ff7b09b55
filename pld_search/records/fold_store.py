"""A cache of the folds of a study's runs that are not running, so that no reader folds unchanged events again.

`folds.jsonl` is an append-only file of lines and can be deleted at any time. Its first line states the version and the
fields for which it was written. Every other line is one run: a JSON object with its folder, the versions of its events
and the few numbers that tables need, a tab, and its first event (nothing if there was none), which is parsed when a
reader asks for it. Points of series and all other parts of a record are folded from the events when a reader asks for
them. A damaged line, or a line of changed events, is ignored. Nothing is stored in a folder that is not writable.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import MISSING, Field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import pld_search
from pld_search.host.disk import write_atomically
from pld_search.records import jsonl
from pld_search.records.events import RunStarted
from pld_search.records.run_record import RunRecord, RunVersion, fold_run, run_version

STORE = "folds.jsonl"
LEAST = 16
"""The number of new folds from which they are appended; with fewer, appending costs more than it saves."""
_FORMAT = 3
_PLAIN = (
    *("state", "reason", "kind", "attempt", "step", "executed_steps", "repeated_tflop", "repeated_seconds"),
    *("final", "resumed_from", "pauses", "scored", "first_time", "last_time"),
)
"""Fields of a record that are small JSON values."""
_PLAIN_NAMES = frozenset(_PLAIN)


class StoredRun(RunRecord):
    """A fold that was read from the store; its other fields are folded from the events at first access."""

    __slots__ = ("_folder", "_started")
    _folder: str
    _started: bytes

    @classmethod
    def of(cls, folder: str, plain: dict[str, Any], started: bytes, more: list[str]) -> StoredRun:
        """Returns the run of a line of the store; `more` names non-empty fields that the line does not hold."""
        run = cls.__new__(cls)
        run._folder, run._started = folder, started
        for name, value in plain.items():
            setattr(run, name, value)
        for name, empty, make in _OTHERS:
            if name not in more:
                setattr(run, name, empty if make is None else make())
        if not started:
            run.started = None
        return run

    def __getattr__(self, name: str) -> Any:
        """Loads a field that is not set yet."""
        if name == "started" and self._started:
            with suppress(ValueError, TypeError, KeyError):  # a damaged line is folded from the events
                self.started = RunStarted.of(json.loads(self._started))
                return self.started
        if name.startswith("__") or name not in _NAMES:
            raise AttributeError(name)
        whole = fold_run(Path(self._folder))
        for each in _NAMES:
            if each not in _PLAIN:
                setattr(self, each, getattr(whole, each))
        return getattr(self, name)


_FIELDS = fields(RunRecord)
_NAMES = tuple(field.name for field in _FIELDS)
_OTHERS = tuple(
    (field.name, field.default, None if field.default_factory is MISSING else field.default_factory)
    for field in _FIELDS
    if field.name not in (*_PLAIN, "started")
)


class FoldStore:
    """The folds of one study's runs, by folder; new folds wait for `keep` to be written."""

    def __init__(self, study: Path) -> None:
        self._study, self._path, self._above = study, study / STORE, f"{study}{os.sep}"
        self._known: dict[str, tuple[RunVersion, RunRecord]] = {}
        self._new: dict[str, tuple[RunVersion, RunRecord]] = {}
        self._sound = False
        with suppress(OSError, ValueError):
            self._read(self._path.read_bytes())

    def run(self, folder: Path) -> RunRecord:
        """Returns the record of a run or a branch in a folder below the study, as `fold_run` does. Raises StudyError
        for damaged events.
        """
        version = run_version(folder)
        if version is None:
            return RunRecord()
        name = str(folder).removeprefix(self._above).replace(os.sep, "/")
        known = self._known.get(name)
        if known is not None and known[0] == version:
            return known[1]
        record = fold_run(folder)
        if record.state != "running":
            self._known[name] = self._new[name] = (version, record)
        return record

    def keep(self) -> None:
        """Appends the new folds if there are enough; their points are then read from the events again."""
        if len(self._new) < LEAST:
            return
        lines = [_line(name, version, record) for name, (version, record) in self._new.items()]
        with suppress(OSError):
            if self._sound:
                with self._path.open("ab") as file:
                    file.write(b"".join(lines))
            else:
                write_atomically(self._path, b"".join([jsonl.line(_STAMP), *lines]).decode())
            self._sound = True
        for line in lines:
            self._take(line)
        self._new = {}

    @jsonl.uncollected()
    def _read(self, data: bytes) -> None:
        lines = iter(data.splitlines(keepends=True))
        if json.loads(next(lines, b"null")) != _STAMP or not data.endswith(b"\n"):
            return
        self._sound = True
        for line in lines:
            with suppress(ValueError, TypeError, KeyError):
                self._take(line)

    def _take(self, line: bytes) -> None:
        written, _, started = line.removesuffix(b"\n").partition(b"\t")
        run = json.loads(written)
        (events, asked), plain = run["version"], run["plain"]
        if plain.keys() != _PLAIN_NAMES:
            raise ValueError(run["run"])
        record = StoredRun.of(self._above + run["run"], plain, started, run["more"])
        self._known[run["run"]] = (_version(events), None if asked is None else _version(asked)), record


def _version(written: list[int]) -> jsonl.Version:
    size, changed, inode = written
    return size, changed, inode


def _line(name: str, version: RunVersion, record: RunRecord) -> bytes:
    line = {
        "run": name,
        "version": version,
        "plain": {each: getattr(record, each) for each in _PLAIN},
        "more": list(_not_empty(record)),
    }
    started = b"\n" if record.started is None else jsonl.line(record.started.record())
    return jsonl.line(line).removesuffix(b"\n") + b"\t" + started


def _not_empty(record: RunRecord) -> Iterator[str]:
    for field in _FIELDS:
        if field.name not in (*_PLAIN, "started") and field.compare and getattr(record, field.name) != _empty(field):
            yield field.name


def _empty(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


_STAMP = {"format": _FORMAT, "version": pld_search.__version__, "fields": list(_NAMES)}


@lru_cache(maxsize=4)
def _store(study: Path, _inode: int) -> FoldStore:
    return FoldStore(study)


def fold_store(study: Path) -> FoldStore:
    """Returns the store of a study, the same one as long as the study's folder is the same."""
    return _store(study, study.stat().st_ino)
