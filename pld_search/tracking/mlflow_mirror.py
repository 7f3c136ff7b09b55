"""The mirror of studies in MLflow: beside a running coordinator in a separate thread, or once from the files.

All contents are read from `study.jsonl` and the runs' `events.jsonl`. An unreachable store costs a study nothing: the
thread tries again later, and `mirror` can rebuild everything at any time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from pld_search.errors import StudyError
from pld_search.records.study_record import fold_study
from pld_search.tracking.mlflow_store import open_store
from pld_search.tracking.study_sync import Answering, Layers, Picture, StudySync


def mirror(
    folder: Path,
    uri: str | None = None,
    *,
    picture: Picture | None = None,
    answering: Answering | None = None,
    layers: Layers | None = None,
) -> None:
    """Brings MLflow up to date with the files of a study; running it twice changes nothing. Raises StudyError when the
    store cannot be written.
    """
    if not (folder / "study.jsonl").exists():
        raise StudyError(f"{folder} holds no study (no study.jsonl)")
    try:
        sync = _sync(uri, folder, picture, answering, layers)
        if sync is not None:
            sync.sync()
    except Exception as error:
        raise StudyError(f"the MLflow store {uri or 'of ' + str(folder.parent)} cannot be written: {error}") from error


def _sync(
    uri: str | None,
    folder: Path,
    picture: Picture | None,
    answering: Answering | None,
    layers: Layers | None,
) -> StudySync | None:
    """Opens the store and returns the study's synchronizer; None before the study is created."""
    study = fold_study(folder)
    if study.created is None:
        return None
    return StudySync(open_store(uri, folder.parent, study.name, study.id), folder, picture, answering, layers)


class Mirror:
    """An observer of a running study.

    `notice` and `close` never raise. `notice` returns at once; `close` waits at most `patience` seconds for the last
    update. The store is written at most every `interval` seconds, after a failure every `retry` seconds. `say` receives
    the message of the first failure in a row.
    """

    def __init__(
        self,
        uri: str | None = None,
        *,
        picture: Picture | None = None,
        answering: Answering | None = None,
        layers: Layers | None = None,
        interval: float = 5.0,
        retry: float = 30.0,
        patience: float = 60.0,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._uri, self._picture, self._answering, self._layers = uri, picture, answering, layers
        self._interval, self._retry, self._patience, self._say = interval, retry, patience, say
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._sync: StudySync | None = None
        self._failing = False

    def notice(self, folder: Path) -> None:
        """Schedules an update: the study's files changed."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, args=(folder,), name="mlflow-mirror", daemon=True)
            self._thread.start()
        self._wake.set()

    def close(self, folder: Path) -> None:
        """Writes the last state when the coordinator ends; waits at most `patience` seconds."""
        self.notice(folder)
        self._closing.set()
        self._wake.set()
        assert self._thread is not None
        self._thread.join(self._patience)

    def _work(self, folder: Path) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._wake.clear()
            if self._shown(folder):
                self._closing.wait(self._interval)
            else:
                self._closing.wait(self._retry)
                self._wake.set()
        self._shown(folder)

    def _shown(self, folder: Path) -> bool:
        """Makes one attempt; returns whether it succeeded."""
        try:
            if self._sync is None:
                self._sync = _sync(self._uri, folder, self._picture, self._answering, self._layers)
            if self._sync is not None:
                self._sync.sync()
        except Exception as error:
            self._sync = None  # the next attempt reads MLflow's state back
            if not self._failing and self._say is not None:
                self._say(
                    f"MLflow cannot be reached, the study goes on without it ({error}); `pld-search mirror "
                    f"{folder}` shows it later"
                )
            self._failing = True
            return False
        self._failing = False
        return True
