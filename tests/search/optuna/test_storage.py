"""Studies in a database: sqlite, a real PostgreSQL, and one that goes away while a study runs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from pld_search.errors import ConfigError, StudyError
from pld_search.records import jsonl
from pld_search.records.study_record import view
from pld_search.search.optuna.storage import close_storage, open_storage
from tests.search.postgres import Postgres, postgres
from tests.search.studies import check_ended_once, run, small_study
from tests.search.test_kills import finish, launched, start, wait_until

SEARCH = "search: {sampler: tpe, trials: 6, seed: 0}\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as cluster:
        yield cluster


def trials_in(url: str, name: str) -> list[optuna.trial.FrozenTrial]:
    storage = open_storage(Path(tempfile.gettempdir()) / "x", url)
    try:
        return storage.get_all_trials(storage.get_study_id_from_name(name))
    finally:
        close_storage(storage)


def check_same(folder: Path, url: str) -> None:
    """The database holds what the records say, and no open trial."""
    trials = check_ended_once(folder).study.trials.values()
    stored = trials_in(url, "small")
    assert [trial.state.name for trial in stored] == ["COMPLETE"] * len(trials)
    assert [trial.values for trial in stored] == [trial.told.values for trial in trials if trial.told]


def test_a_study_in_sqlite_whose_tables_were_made_first(tmp_path: Path) -> None:
    folder, url = tmp_path / "runs" / "small", f"sqlite:///{tmp_path}/optuna.db"
    assert run(small_study(tmp_path, SEARCH), folder, environment={"OPTUNA_STORAGE": url}) == 0
    check_same(folder, url)
    assert (tmp_path / "runs" / "storage.lock").exists()
    with pytest.raises(StudyError, match="another study named 'small'"):
        run(small_study(tmp_path, SEARCH), tmp_path / "runs" / "other", environment={"OPTUNA_STORAGE": url})


def test_a_fresh_sqlite_database_is_opened_by_two_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pld_search.search.optuna.storage import open_storage; "
        "open_storage(Path(sys.argv[1]) / 'x', sys.argv[2])"
    )
    url = f"sqlite:///{tmp_path}/optuna.db"
    openers = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", code, str(tmp_path), url], stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    assert [(opener.communicate()[1], opener.returncode) for opener in openers] == [(b"", 0)] * 2


@pytest.mark.parametrize("url", ["postgresql://nobody:secret@127.0.0.1:9/none", "sqlite:////nowhere/at/all.db"])
def test_a_database_that_cannot_be_reached_is_one_line_without_the_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(StudyError, match="cannot be reached") as refused:
        open_storage(tmp_path / "study", url)
    assert "secret" not in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_url_of_nothing_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a storage"):
        open_storage(tmp_path, "mongodb://here/there")


def test_a_study_in_postgres(tmp_path: Path, server: Postgres) -> None:
    folder = tmp_path / "small"
    for count in (3, 6):
        sets = [f"search.trials={count}"]
        assert run(small_study(tmp_path, SEARCH, sets=sets), folder, environment={"OPTUNA_STORAGE": server.url}) == 0
    check_same(folder, server.url)
    storage = open_storage(folder, server.url)
    storage.delete_study(storage.get_study_id_from_name("small"))
    close_storage(storage)


def test_a_database_restart_under_a_running_study(
    tmp_path: Path, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_STEP", "0.01")
    monkeypatch.setenv("FAKE_WAIT", str(tmp_path / "go"))
    monkeypatch.setenv("COORDINATE_STORAGE", server.url)
    folder = tmp_path / "small"
    coordinator = start(tmp_path, folder, "search: {sampler: tpe, trials: 10, seed: 0}\n", "{log: [1e-4, 1e-2]}")
    wait_until(lambda: len(launched(folder)) >= 1)
    server.stop()
    (tmp_path / "go").touch()  # the first results meet a server that is down
    wait_until(lambda: away(folder) == [True])
    server.start()
    assert finish(coordinator) == (0, "")
    check_same(folder, server.url)
    assert away(folder) == [True, False]
    assert view(folder).study.storage_away is None
    assert len(trials_in(server.url, "small")) == 10


def away(folder: Path) -> list[bool]:
    """What the study's record says of its storage, in order."""
    return [record["away"] for record in jsonl.read(folder / "study.jsonl") if record["event"] == "storage"]
