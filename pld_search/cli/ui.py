"""`ui`: opens the MLflow UI on the store of the runs folder."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import webbrowser
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from pld_search.app.machine_setup import machine_of
from pld_search.app.study_folders import study_folder
from pld_search.cli import completion
from pld_search.cli.options import MachineFile, Runs, TrackingUri
from pld_search.cli.output import say
from pld_search.errors import ConfigError, Problem, StudyError
from pld_search.host.processes import KILL, signal_group
from pld_search.host.signals import ENDING
from pld_search.records.study_record import fold_study
from pld_search.tracking.mlflow_store import default_uri, experiment_of
from pld_search.tracking.mlflow_views import view_path

Study = Annotated[
    str | None,
    typer.Argument(
        metavar="[STUDY]", help="The study to look at; its prepared view opens.", autocompletion=completion.studies
    ),
]

LOOPBACK = "127.0.0.1"
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_UVICORN_OPTS": "--log-level warning",
    "PYTHONWARNINGS": "ignore",
}
"""Environment variables with which MLflow's server logs only problems."""
_PATIENCE = 10.0  # seconds for the server to end
_TRIES = 120  # about as many seconds for the server to start


def ui(
    study: Study = None,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="The address to listen on.")] = LOOPBACK,
    port: Annotated[int, typer.Option("--port", metavar="N", min=1, max=65535, help="The port.")] = 5000,
    browser: Annotated[
        bool | None,
        typer.Option("--browser/--no-browser", help="Open a browser; default: only from a terminal."),
    ] = None,
    optuna: Annotated[
        bool,
        typer.Option("--optuna", help="Also serve the Optuna dashboard of the STUDY's search, on this machine only."),
    ] = False,
    optuna_port: Annotated[int, typer.Option("--optuna-port", metavar="N", min=1, max=65535, help="The port.")] = 8080,
    tracking_uri: TrackingUri = None,
    runs: Runs = None,
    machine: MachineFile = None,
) -> None:
    """Open the MLflow UI (it ends with Ctrl-C).

    With a STUDY it prints, and on a terminal opens, the prepared view of its experiment: one row a configuration, best
    first, and charts of the loss.
    """
    place = Path(machine_of(machine, runs=runs).runs)
    folder = None if study is None else study_folder(study, place)
    place = place if folder is None else folder.parent
    store, address = tracking_uri or default_uri(place), f"http://{host}:{port}"
    if tracking_uri is not None and tracking_uri.startswith(("http:", "https:")):
        say(f"the MLflow server already runs: open {view_address(tracking_uri.rstrip('/'), store, folder)}")
        return
    if tracking_uri is None and not (place / "mlflow.db").is_file():
        raise StudyError(f"{place} holds no MLflow store yet; `pld-search mirror STUDY` makes it from a study's files")
    beside = [] if not optuna else [dashboard(folder, optuna_port)]
    shown = view_address(address, store, folder)
    say(f"MLflow UI on {tracking_uri or place / 'mlflow.db'}: {shown}", aside=True)
    sys.stderr.flush()
    when_ready(address, shown, sys.stderr.isatty() if browser is None else browser)
    code = served(command(place, tracking_uri, host, port), *beside)
    if code:
        raise typer.Exit(code)


def view_address(address: str, store: str, folder: Path | None) -> str:
    """Returns the address of a study's prepared view; the UI's address without a study or when its store fails."""
    record = None if folder is None else fold_study(folder)
    if record is None:
        return address
    try:
        experiment = experiment_of(store, record.name, record.id)
    except Exception as error:  # MLflow's own exceptions, and exceptions of databases and of the network
        say(f"the study's view cannot be looked up ({error})", aside=True)
        return address
    if experiment is None:
        say(f"{record.name} is not in this store yet; pld-search mirror {record.name} shows it", aside=True)
        return address
    return address + view_path(experiment)


def when_ready(address: str, shown: str, browser: bool) -> None:
    """Waits in a separate thread until the server at `address` answers, then prints this and opens a `browser` at
    `shown`.
    """

    def wait() -> None:
        for _ in range(_TRIES):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=2):
                say("ready; Ctrl-C ends it", aside=True)
                sys.stderr.flush()
                if browser:
                    webbrowser.open(shown)
                return
            time.sleep(1.0)

    threading.Thread(target=wait, name="browser", daemon=True).start()


def dashboard(folder: Path | None, port: int) -> list[str]:
    """Returns the command of the Optuna dashboard on the study's current records. It listens on the loopback interface
    only, because it has no authentication. Raises ConfigError without a study or without the dashboard.
    """
    if folder is None:
        raise ConfigError(Problem("--optuna shows the search of one study", allowed="pld-search ui STUDY --optuna"))
    if find_spec("optuna_dashboard") is None:
        raise ConfigError(
            Problem("the Optuna dashboard is not installed", allowed="pip install 'optuna-dashboard>=0.20'")
        )
    from pld_search.search.optuna.dashboard import write_dashboard  # loads optuna, only for its dashboard

    journal = write_dashboard(folder)
    say(f"Optuna dashboard on {journal}: http://{LOOPBACK}:{port}", aside=True)
    words = [str(journal), "--storage-class", "JournalFileStorage", "--host", LOOPBACK, "--port", str(port), "--quiet"]
    return [sys.executable, "-c", "from optuna_dashboard._cli import main; main()", *words]


def served(words: list[str], *beside: list[str]) -> int:
    """Runs the server and the processes beside it until the server ends or this process gets a signal. All workers then
    end without a traceback. Returns the server's exit code, or 0 after a signal.
    """

    def ask(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in ENDING:
        signal.signal(number, ask)
    # in separate sessions: Ctrl-C reaches this process alone
    server, *others = [
        subprocess.Popen(each, start_new_session=True, env=_QUIET | os.environ) for each in (words, *beside)
    ]
    try:
        return server.wait()
    except KeyboardInterrupt:
        _end(server)
        return 0
    finally:
        for other in others:
            _end(other)


def _end(server: subprocess.Popen[bytes]) -> None:
    """Ends a server with its workers: first SIGTERM, then SIGKILL."""
    signal_group(server.pid, signal.SIGTERM)
    try:
        server.wait(_PATIENCE)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        signal_group(server.pid, KILL)
        server.wait()


def command(runs: Path, tracking_uri: str | None, host: str, port: int) -> list[str]:
    """Returns the command that serves the store; one worker is enough for one reader."""
    store = tracking_uri or default_uri(runs)
    flags = [
        "--backend-store-uri",
        store,
        "--registry-store-uri",
        store,
        "--host",
        host,
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    if tracking_uri is None:
        flags += ["--default-artifact-root", (runs.resolve() / "mlartifacts").as_uri()]
    return [sys.executable, "-m", "mlflow", "ui", *flags]
