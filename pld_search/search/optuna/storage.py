"""The storage of Optuna's questions and answers: a journal file in the study's folder, or a database by OPTUNA_STORAGE.

The storage is a reader of `study.jsonl` like any other. Trials it lost are put back from the records
(search/optuna/optuna_study.py), so an unreadable journal is set aside and built again. A storage with another study's
id is refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection

from pld_search.errors import ConfigError, Problem, StudyError
from pld_search.host.disk import held

JOURNAL = "study.journal"
_ID = "pld_search:study_id"
_SECONDS_TO_CONNECT = 10
_SECONDS_FOR_A_LOCK = 60


class StorageAway(Exception):
    """The storage cannot be reached now; pending results wait."""


@contextmanager
def reached() -> Iterator[None]:
    """Turns the exceptions of SQLAlchemy and Optuna for a database that is down, restarting or locked into
    StorageAway.
    """
    try:
        yield
    except Exception as error:
        if not isinstance(error, StorageInternalError) and not _of_database(error):
            raise
        cause = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ is not None else error
        raise StorageAway(str(getattr(cause, "orig", None) or cause).strip().splitlines()[0]) from error


def _of_database(error: Exception) -> bool:
    """Whether it is an error of SQLAlchemy, which is loaded only for a database, so that its classes are known by
    name.
    """
    kinds = {(kind.__module__, kind.__name__) for kind in type(error).__mro__}
    return ("sqlalchemy.exc", "SQLAlchemyError") in kinds


def open_storage(folder: Path, url: str | None = None) -> BaseStorage:
    """Opens the storage of a study: the database of `url` (`scheme://...`), else a journal (a path, by default in the
    folder).

    Only the coordinator calls it, under its lock. A journal's torn last line and the lock of a dead writer are removed.
    Raises ConfigError for an unknown kind of URL, StudyError when the database cannot be reached.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # the study's own lines report what happens
    if url and "://" in url:
        return _database(url, folder.parent)
    journal = Path(url) if url else folder / JOURNAL
    _repair(journal)
    return JournalStorage(JournalFileBackend(str(journal)))


def close_storage(storage: BaseStorage) -> None:
    """Closes a database's connections; does nothing for a journal."""
    if isinstance(storage, RDBStorage):
        storage.remove_session()
        storage.engine.dispose()


def _database(written: str, runs: Path) -> BaseStorage:
    """Opens a database and makes its tables under a lock: two processes that make them at once would break them."""
    url, shown = _with_driver(written), _without_password(written)
    runs.mkdir(parents=True, exist_ok=True)
    try:
        with held(runs / "storage.lock"), reached():
            return RDBStorage(url, engine_kwargs={"connect_args": _connection(url)})
    except StorageAway as error:
        raise StudyError(f"the Optuna storage {shown} cannot be reached: {error}") from error


def _with_driver(url: str) -> str:
    """Returns the URL with an installed driver (for PostgreSQL: psycopg). Raises ConfigError when no driver is
    installed.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        parsed = make_url("postgresql" + url.removeprefix("postgres") if url.startswith("postgres://") else url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError) as error:
        raise ConfigError(
            Problem(
                "not a storage",
                allowed="a journal file, or a database URL: postgresql://..., mysql://..., sqlite:///...",
            )
        ) from error
    if parsed.drivername == "postgresql+psycopg" and find_spec("psycopg") is None:
        raise ConfigError(Problem("PostgreSQL needs its driver", allowed="pip install 'psycopg[binary]>=3.2'"))
    return parsed.render_as_string(hide_password=False)


def _without_password(url: str) -> str:
    from sqlalchemy.engine import make_url

    return make_url(url).render_as_string(hide_password=True)


def _connection(url: str) -> dict[str, Any]:
    """Returns limits in seconds on the waits for a connection and for sqlite's single writer."""
    if url.startswith("sqlite"):
        return {"timeout": _SECONDS_FOR_A_LOCK}
    return {"connect_timeout": _SECONDS_TO_CONNECT} if url.startswith(("postgresql", "mysql")) else {}


def _repair(journal: Path) -> None:
    lock = journal.with_name(journal.name + ".lock")
    if lock.is_symlink():
        lock.unlink()
    if not journal.exists():
        return
    data = journal.read_bytes()
    end = data.rfind(b"\n") + 1
    if end != len(data):
        os.truncate(journal, end)
    try:
        for line in data[:end].splitlines():
            json.loads(line)
    except ValueError:
        journal.rename(_unused(journal))


def _unused(journal: Path) -> Path:
    number = 1
    while (aside := journal.with_name(f"{journal.name}.broken-{number}")).exists():
        number += 1
    return aside


def open_study(storage: BaseStorage, name: str, study_id: str, directions: Sequence[str]) -> optuna.Study:
    """Opens the Optuna study of a name, or creates it. Raises StudyError when it belongs to another study's folder."""
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        directions=[StudyDirection[word.upper()] for word in directions],
        load_if_exists=True,
    )
    found = study.user_attrs.get(_ID)
    if found is None and not study.get_trials(deepcopy=False):
        study.set_user_attr(_ID, study_id)
    elif found != study_id:
        raise StudyError(
            f"the Optuna storage holds another study named '{name}' (its id is {found}, this folder's is {study_id})"
        )
    if [direction.name.lower() for direction in study.directions] != list(directions):
        raise StudyError(f"the Optuna study '{name}' was made for other objectives")
    return study
