"""`ui`: the MLflow UI on the store of the runs folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from pld_search.app.machine_setup import machine_of
from pld_search.app.study_folders import study_folder
from pld_search.cli.options import MachineFile, Runs, TrackingUri
from pld_search.cli.output import say
from pld_search.errors import StudyError
from pld_search.host.processes import KILL, signal_group
from pld_search.host.signals import ENDING
from pld_search.tracking.mlflow_store import default_uri

Study = Annotated[
    str | None, typer.Argument(metavar="[STUDY]", help="A study that must be there; all studies share one UI.")
]

_PATIENCE = 10.0  # seconds that the server has to end


def ui(
    study: Study = None,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where it listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", min=1, max=65535, help="Its port.")] = 5000,
    tracking_uri: TrackingUri = None,
    runs: Runs = None,
    machine: MachineFile = None,
) -> None:
    """Open the MLflow UI (it ends with Ctrl-C)."""
    folder = Path(machine_of(machine, runs=runs).runs)
    if study is not None:
        folder = study_folder(study, folder).parent
    if tracking_uri is not None and tracking_uri.startswith(("http:", "https:")):
        say(f"the MLflow server already runs: open {tracking_uri}")
        return
    if tracking_uri is None and not (folder / "mlflow.db").is_file():
        raise StudyError(f"{folder} holds no MLflow store yet; `pld-search mirror STUDY` makes it from a study's files")
    say(f"MLflow UI on {tracking_uri or folder / 'mlflow.db'}: http://{host}:{port}", aside=True)
    sys.stderr.flush()
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    code = served(command(folder, tracking_uri, host, port))
    if code:
        raise typer.Exit(code)


def served(words: list[str]) -> int:
    """Run the server until it ends or this process is asked to: then it ends with all its workers, without a traceback
    of theirs. Returns its exit code, 0 where it was asked to end.
    """

    def ask(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in ENDING:
        signal.signal(number, ask)
    server = subprocess.Popen(words, start_new_session=True)  # Ctrl-C reaches this process alone
    try:
        return server.wait()
    except KeyboardInterrupt:
        signal_group(server.pid, signal.SIGTERM)
        try:
            server.wait(_PATIENCE)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            signal_group(server.pid, KILL)
            server.wait()
        return 0


def command(runs: Path, tracking_uri: str | None, host: str, port: int) -> list[str]:
    """The command that serves the store; one worker does for one reader."""
    store = tracking_uri or default_uri(runs)
    flags = ["--backend-store-uri", store, "--host", host, "--port", str(port), "--workers", "1"]
    if tracking_uri is None:
        flags += ["--default-artifact-root", (runs.resolve() / "mlartifacts").as_uri()]
    return [sys.executable, "-m", "mlflow", "ui", *flags]
