"""MLflow's own pages of a study, read in headless Chromium where there is one: the prepared view, charts, runs, models.

What the views write is documented nowhere, so this is the test that a new MLflow has to pass.
"""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from pld_search.cli.ui import command
from pld_search.records.events import RunFinished
from pld_search.records.study_events import StudyCompleted, TrialTold
from pld_search.tracking.mlflow_content import Answer
from pld_search.tracking.mlflow_mirror import mirror
from pld_search.tracking.mlflow_store import open_store
from pld_search.tracking.mlflow_views import view_path
from tests.tracking.studies import run, train, write_study

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed"),
    pytest.mark.filterwarnings("ignore"),  # mlflow's own
    pytest.mark.soak,  # MLflow's server alone takes half a minute to start
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of a server that shows one finished study, and the id of its experiment."""
    runs = tmp_path_factory.mktemp("runs")
    study = write_study(runs / "looked", "looked-id", trials=2)
    for trial in (0, 1):
        train(writer := run(runs / "looked", trial), 0, 100)
        writer.emit(RunFinished(100, metrics={"saved/flops": 0.2}, timing={}))
        study.write(TrialTold(trial=trial, state="COMPLETE", values=[5.0], constraints={}))
    study.write(StudyCompleted())
    answer = Answer("Better than pld0: pld1.", {1: "better"}, winner=1, figures={1: {"difference/valid/loss": -0.5}})
    mirror(runs / "looked", answering=lambda _: answer)
    experiment = open_store(None, runs, "looked", "looked-id").experiment_id
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(command(runs, None, "127.0.0.1", port), start_new_session=True)
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
                break
            except OSError:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}", experiment
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def page(address: str, profile: Path) -> str:
    """The text of a page once its scripts have run."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
    flags += ["--disable-component-update", f"--user-data-dir={profile}", "--window-size=2400,1600"]
    done = subprocess.run(
        [CHROMIUM, *flags, "--virtual-time-budget=30000", "--dump-dom", address],
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", re.sub(r"(?s)<(script|style).*?</\1>", " ", done.stdout)))


def test_the_prepared_view(served: tuple[str, str], tmp_path: Path) -> None:
    address, experiment = served
    text = page(address + view_path(experiment), tmp_path)
    assert "Systems (means over seeds)" in text
    for word in ("pld0 #0", "pld1 #1", "valid/loss", "difference/valid/loss", "2 matching runs"):
        assert word in text
    assert "pld0 #0 s0" not in text and "share key is invalid" not in text


def test_its_charts(served: tuple[str, str], tmp_path: Path) -> None:
    address, experiment = served
    text = page(address + view_path(experiment) + "&compareRunsMode=CHART", tmp_path)
    assert re.search(r"Comparison \(\d\)", text) and "Add chart" in text, text[:3000]


def test_runs_and_models(served: tuple[str, str], tmp_path: Path) -> None:
    address, experiment = served
    text = page(f"{address}/#/experiments/{experiment}/models?workflowType=machine_learning", tmp_path)
    assert "pld0-0-s0" in text and "pld1-1-s0" in text
