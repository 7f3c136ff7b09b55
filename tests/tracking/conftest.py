"""One MLflow store for the whole room: importing mlflow and creating its sqlite database takes seconds."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from pld_search.tracking.mlflow_store import Store, open_store


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def store(runs: Path) -> Store:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mlflow's own imports
        return open_store(None, runs, "any", "any-id")
