"""`pld_search.run`: a study from its file to its results, without a console."""

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
    """Run a study, or continue one that exists, as `pld-search run` does; the same call goes on after any interruption.

    Finished runs stay, interrupted ones resume from their last checkpoint, none runs twice. Training happens in
    processes of its own, the report and the mirror in MLflow are written as the command line writes them, and nothing
    is printed; a notebook shows a bar below its cell. To be called in the main thread: a first Ctrl-C or SIGTERM lets
    every run write a checkpoint, a second one kills them. The environment counts as it does there: OPTUNA_STORAGE,
    MLFLOW_TRACKING_URI, CUDA_VISIBLE_DEVICES, HF_HUB_OFFLINE, and PLD_SEARCH_STEPS for a reduced budget.

    Args:
        study: the place of a study's file (`./floor.yaml`), the name of a shipped one (`demo`), or the folder of a
        recorded one.
        sets: changes as of --set: `budget.steps=100`; what starts with `machine.` is the machine's: `machine.slots=1`.
        runs: the folder of all studies, instead of the machine's.
        machine: the machine's file; by default ./machine.yaml where there is one.
        tracking_uri: of the MLflow store; by default MLFLOW_TRACKING_URI, else a file among the runs.
        storage: of Optuna, a database's URL; by default OPTUNA_STORAGE, else a file in the study's folder.
        tell: hears what is being prepared, which run began, went on or ended, and how far the whole is, a line at a
        time; `print` for one.

    Raises ConfigError and DataError for what cannot be used as it is written, StudyError where the study cannot be
    taken up and where a configuration failed for good, NothingFeasible, and Interrupted after a signal. What was
    computed by then stays, and `pld_search.results` reads it.
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
            "retry` gives them another chance"
        )
    return done


def _nobody(_: str) -> None:
    """Nothing is said."""
