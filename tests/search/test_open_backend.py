"""Which backend a study gets, and what a study that samples nothing does not load."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pld_search.search.open_backend import DeclaredOnly, NoSamplers, backend_of
from pld_search.search.optuna.backend import OptunaBackend
from tests.search.in_process import InProcess
from tests.search.studies import check_ended_once, run, small_study

DECLARED = "systems:\n  full: {schedule: full}\n  pld: {schedule: pld}\nreference: full\n"
TUNED = "systems:\n  pld: {schedule: pld, tune: 3}\n"
SEARCH = "search: {sampler: random, trials: 2, seed: 0}\n"


def test_only_a_study_that_samples_has_optuna(tmp_path: Path) -> None:
    assert isinstance(backend_of(small_study(tmp_path, DECLARED, lr="1e-3")), DeclaredOnly)
    assert isinstance(backend_of(small_study(tmp_path, TUNED)), OptunaBackend)
    assert isinstance(backend_of(small_study(tmp_path, SEARCH)), OptunaBackend)


def test_a_study_without_samplers_runs_and_is_continued(tmp_path: Path) -> None:
    study, folder = small_study(tmp_path, DECLARED, lr="1e-3"), tmp_path / "study"
    for _ in range(2):
        assert run(study, folder, slots=1, launcher=InProcess(), poll=0) == 0
    assert len(check_ended_once(folder).runs) == 2
    assert not list(folder.glob("*.journal*"))


def test_a_question_without_a_sampler_is_an_error() -> None:
    nothing = NoSamplers()
    assert nothing.settled()
    with pytest.raises(LookupError, match="no sampler of pld"):
        nothing.kind("pld")
    with pytest.raises(LookupError, match="no sampler of the search"):
        nothing.ask(None, {})


def test_the_coordinator_loads_optuna_and_scipys_distributions_for_a_search_only() -> None:
    code = "import json, sys\nimport pld_search.app.run_study\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"optuna", "sqlalchemy", "scipy.stats"} & set(json.loads(done.stdout))
