"""`pld_search.run`: runs a study from its file to its results, without a console."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pld_search.api.notebook_bar import Telling
from pld_search.api.results import Results, read
from pld_search.app.find_study import study_of
from pld_search.app.machine_setup import machine_used
from pld_search.app.run_study import INTERRUPTED, Services, conduct
from pld_search.errors import Interrupted, StudyError


def run(
    study: str | Path,
    *,
    sets: Sequence[str] = (),
    runs: str | Path | None = None,
    machine: str | Path | None = None,
    tracking_uri: str | None = None,
    storage: str | None = None,
    tell: Callable[[str], None] | None = None,
) -> Results:
    """Runs or continues a study, as `pld-search run` does; the same call goes on after any interruption.

    Finished runs stay, interrupted runs resume from their last checkpoint, and no run is trained twice. Training
    happens in separate processes. The report and the mirror in MLflow are written as by the command line. Nothing is
    printed; a notebook shows a bar below its cell. Call it in the main thread: a first Ctrl-C or SIGTERM lets every run
    write a checkpoint, a second one kills the runs. The environment counts as on the command line: OPTUNA_STORAGE,
    MLFLOW_TRACKING_URI, CUDA_VISIBLE_DEVICES, HF_HUB_OFFLINE, and PLD_SEARCH_STEPS for a reduced budget.

    Args:
        study: the path of a study's file (`./floor.yaml`), the name of a shipped study (`demo`), or the folder of a
            recorded study.
        sets: changes as with --set: `budget.steps=100`; `machine.slots=1` changes the machine.
        runs: the folder of all studies, instead of the machine's.
        machine: the machine's file; by default ./machine.yaml if it exists.
        tracking_uri: the MLflow store; by default MLFLOW_TRACKING_URI, else a file beside the runs.
        storage: the URL of Optuna's database; by default OPTUNA_STORAGE, else a file in the study's folder.
        tell: receives lines on preparation, on runs that began, went on or ended, and on the progress of the whole
            study; `print` is an example.

    Raises ConfigError and DataError for input that cannot be used as written, StudyError when the study cannot be taken
    up or a configuration failed for good, NothingFeasible, and Interrupted after a signal. Results computed before the
    exception stay, and `pld_search.results` reads them.
    """
    chosen = study_of(str(study), sets)
    with machine_used(None if machine is None else Path(machine), sets, runs=runs) as found:
        folder = Path(found.runs) / chosen.name
        code = conduct(
            chosen,
            folder,
            found,
            Services(tracking_uri, storage),
            tell=tell or _nobody,
            observers=[Telling(tell)],
        )
    if code in INTERRUPTED:
        raise Interrupted(
            f"{folder}: stopped by a signal; every run keeps its last checkpoint, and the same call goes on", code - 128
        )
    done = read(folder)
    if code:
        failed = [row for row in done.rows if row["state"] == "failed"]
        reasons = "; ".join(f"trial {row['trial']}, seed {row['seed_index']}: {row['reason']}" for row in failed)
        raise StudyError(
            f"{folder}: {len(failed)} of {len(done.rows)} runs failed for good ({reasons}); `pld-search "
            "retry` runs them again"
        )
    return done


def _nobody(_: str) -> None:
    """Discards a line."""
