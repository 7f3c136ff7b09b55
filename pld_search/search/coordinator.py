"""One coordinator a study: it prepares, asks, launches, follows, tells, and lets observers look at the files.

Everything it knows is in `study.jsonl` and the runs' events, so the same call continues a study from wherever an earlier
one was stopped or killed: finished runs stay, interrupted ones resume from their last checkpoint, none runs twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from pld_search.errors import NothingFeasible
from pld_search.search.asking import Asker
from pld_search.search.beginning import begin
from pld_search.search.configurations import Configurations, Prepare, prepare_once
from pld_search.search.launchers.base import Launcher
from pld_search.search.launchers.local import LocalLauncher
from pld_search.search.ledger import Ledger
from pld_search.search.lock import only_coordinator
from pld_search.search.loop import Loop, Observer
from pld_search.search.optuna_study import OptunaStudy
from pld_search.search.profiles import RecordedProfiles, machine_profiles
from pld_search.search.running import Command, Runs, train_command
from pld_search.search.slots import open_slots
from pld_search.search.stopping import Stopping
from pld_search.search.storage import open_storage, open_study
from pld_search.search.telling import Teller
from pld_search.spaces.definition import Study
from pld_search.spaces.domains import size
from pld_search.specs.machine import Machine

POLL = 0.2


def nothing_to_report(folder: Path) -> None:
    """No report."""


def run_study(
    study: Study,
    folder: Path,
    machine: Machine,
    *,
    prepare: Prepare,
    observers: Sequence[Observer] = (),
    report: Callable[[Path], None] = nothing_to_report,
    environment: Mapping[str, str] | None = None,
    launcher: Launcher | None = None,
    command: Command = train_command,
    poll: float = POLL,
) -> int:
    """Run or continue a study in `folder` until nothing is left to do; called in the main thread. Returns the exit code.

    prepare: makes the study's data ready and says where it lies. observers: told when files changed, and closed at the end.
    report: writes the report files, before the observers are closed.
    environment: OPTUNA_STORAGE and CUDA_VISIBLE_DEVICES are read from it. poll: seconds between two looks at the runs.

    The code: 0 done, 1 a configuration failed for good, 130 or 143 stopped by a signal, after checkpoints. Raises StudyError
    (another coordinator holds the study, its records are broken), ConfigError (the study was changed, a system cannot be
    built), DataError, and NothingFeasible when no sampled configuration met the constraints.
    """
    environment = os.environ if environment is None else environment
    with only_coordinator(folder), closing(Ledger(folder)) as ledger, Stopping() as stopping:
        slots = open_slots(machine, environment)
        study = begin(ledger, study, slots.device)
        profiles = RecordedProfiles(ledger, machine_profiles(machine, slots))
        configurations = Configurations(study, prepare_once(study, ledger, prepare), machine, slots, profiles)
        studies = optuna_studies(study, ledger, environment.get("OPTUNA_STORAGE"))
        teller = Teller(ledger, study, studies)
        runs = Runs(ledger, slots, launcher or LocalLauncher(), configurations.execution, command)
        asker = Asker(ledger, study, configurations.build, studies, teller)
        catch_up(ledger, study, runs, asker)
        try:
            code = Loop(ledger, asker, runs, teller, slots, stopping, observers, poll).run()
            report(folder)
        finally:
            runs.kill()
            for observer in observers:
                observer.close(folder)
        return code or verdict(ledger, study)


def optuna_studies(study: Study, ledger: Ledger, url: str | None) -> dict[str | None, OptunaStudy]:
    """Optuna's studies, brought to what the ledger knows: one a tuned system, and the search's under None."""
    assert ledger.study.created is not None
    tuned: list[str | None] = [system.name for system in study.systems if system.tune]
    names = [*tuned, None] if study.search is not None else tuned
    storage = open_storage(ledger.folder, url) if names else None
    result: dict[str | None, OptunaStudy] = {}
    for name in names:
        assert storage is not None
        objectives = study.objectives[:1] if name else study.objectives
        full_name = f"{study.name}/{name}" if name else study.name
        opened = open_study(storage, full_name, ledger.study.created["id"], [objective.direction for objective in objectives])
        result[name] = OptunaStudy(opened, _sampler(study, name), study.search.seed if study.search else 0)
        result[name].reconcile(trial for trial in ledger.study.trials.values() if trial.asked["sampler_study"] == full_name)
    return result


def _sampler(study: Study, system: str | None) -> str:
    """The search's sampler; where it is brute force and a system leaves infinitely many values open, TPE tunes that."""
    kind = study.search.sampler if study.search is not None else "tpe"
    return "tpe" if kind == "bruteforce" and size(study.tree_of(system)) is None else kind


def catch_up(ledger: Ledger, study: Study, runs: Runs, asker: Asker) -> None:
    """Finish what an earlier coordinator had begun, and give known configurations the seeds the study now asks for."""
    runs.take_over()
    for trial in list(ledger.study.trials.values()):
        asker.reject(trial)
        seeds = study.seeds_of(trial.system)
        if len(trial.seeds) < seeds and trial.rejected is None and (trial.told is None or trial.told["state"] == "COMPLETE"):
            ledger.write("reseeded", trial=trial.number, seeds=list(range(seeds)))


def verdict(ledger: Ledger, study: Study) -> int:
    """The exit code of a study that is done. Raises NothingFeasible."""
    trials = ledger.study.trials.values()
    failed = [trial for trial in trials if trial.told is not None and trial.told["state"] == "FAIL"]
    sampled = [trial for trial in trials if trial.kind == "sampled"]
    feasible = [trial for trial in sampled if trial.told and trial.told["state"] == "COMPLETE" and max(trial.told["constraints"].values()) <= 0]
    if study.search is not None and not feasible and not any(trial in failed for trial in sampled):
        last = next((trial.rejected["reason"] for trial in reversed(sampled) if trial.rejected), "every one violated a constraint")
        raise NothingFeasible(f"none of {len(sampled)} sampled configurations is feasible; the last reason: {last}")
    return 1 if failed else 0
