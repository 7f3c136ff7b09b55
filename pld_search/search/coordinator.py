"""The coordinator of a study (one a study): prepares, asks, launches, follows and tells, and notifies observers.

All of its state is in `study.jsonl` and in the runs' events, so the same call continues a study that was stopped or
killed at any point. Finished runs stay, interrupted runs resume from their last checkpoint, and no run is trained
twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pld_search.by_name import by_name
from pld_search.errors import ConfigError, NothingFeasible, Problem, StudyError
from pld_search.host.signals import Stopping
from pld_search.records.study_events import TrialReseeded
from pld_search.records.trial_record import TrialRecord
from pld_search.search.configurations import Prepare, TrainableConfigurations, prepare_once
from pld_search.search.confirmation import Confirmer
from pld_search.search.coordinator_lock import only_coordinator
from pld_search.search.coordinator_loop import Loop
from pld_search.search.launch_command import Command, train_command
from pld_search.search.launchers.base import Launcher
from pld_search.search.launchers.open_launcher import open_launcher
from pld_search.search.ledger import Ledger
from pld_search.search.observer import Observer
from pld_search.search.open_backend import backend_of
from pld_search.search.open_study import begin
from pld_search.search.recorded_profiles import RecordedProfiles, machine_profiles
from pld_search.search.requests import Inbox
from pld_search.search.run_manager import Limits, Runs
from pld_search.search.run_queue import Agenda
from pld_search.search.sampling import Backend
from pld_search.search.seed_looks import SeedLooks, TakeLook
from pld_search.search.slots import Slots, check_gpus, open_slots
from pld_search.search.stop_trials import Judge
from pld_search.search.tell_results import Teller
from pld_search.search.trial_queue import REJECTED_IN_A_ROW, Asker, never_enough, rejected_in_a_row, sampled_for
from pld_search.spaces.study import Study
from pld_search.specs.machine import Machine

POLL = 0.2
# loaded by name when a search needs them: they load scipy's distributions
_RECOMMENDER = "pld_search.search.recommendation:Recommender"
_ASSESSOR = "pld_search.search.remaining_improvement:Assessor"


def nothing_to_report(folder: Path) -> None:
    """Writes no report."""


def nothing_to_say() -> None:
    """Says nothing when a signal arrives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """The tools of a coordinator, beside the study, its folder and the machine.

    prepare: makes the study's data ready and returns its folders and digests. observers: notified when files changed,
    closed at the end. report: writes the report files, before the observers are closed. environment: OPTUNA_STORAGE and
    CUDA_VISIBLE_DEVICES are read from it; None: this process's environment. launcher: None: the machine's launcher.
    command: the command that starts a run. backend: chooses configurations; None: Optuna. poll: seconds between two
    looks at the runs. once: makes one pass, hands in the runs that are due and returns (only for launchers whose jobs
    outlive the coordinator). acknowledge: called at once when a signal asks the study to stop. look: takes a look at
    the verdicts; more seeds run while they can help (`run --until-decided`).
    """

    prepare: Prepare
    observers: Sequence[Observer] = ()
    report: Callable[[Path], None] = nothing_to_report
    environment: Mapping[str, str] | None = None
    launcher: Launcher | None = None
    command: Command = train_command
    backend: Backend | None = None
    poll: float = POLL
    once: bool = False
    acknowledge: Callable[[], None] = nothing_to_say
    look: TakeLook | None = None


def run_study(study: Study, folder: Path, machine: Machine, means: Means) -> int:
    """Runs or continues a study in `folder` until nothing is left to do; call it in the main thread. Returns the exit
    code: 0 done (or handed in, with `once`), 1 a configuration failed for good, 130 or 143 stopped by a signal, after
    checkpoints.

    Raises StudyError (another coordinator holds the study, or its records are broken), ConfigError (the study was
    changed, or a system cannot be built), DataError, and NothingFeasible when no sampled configuration met the
    constraints.
    """
    slots = open_slots(machine, _environment(means))
    check_gpus(machine, slots)
    with ExitStack() as opened:
        opened.enter_context(only_coordinator(folder))
        ledger = opened.enter_context(closing(Ledger(folder)))
        launcher = opened.enter_context(closing(means.launcher or open_launcher(machine, slots.device)))
        if means.once and not launcher.lasting:
            raise _ends_with_us(launcher)
        # after the launcher: Ray sets signal handlers too
        stopping = opened.enter_context(Stopping(means.acknowledge))
        study = begin(ledger, study, slots.device)
        loop = _assembled(study, ledger, machine, slots, launcher, stopping, means)
        try:
            code = loop.once() if means.once else loop.run()
            means.report(folder)
        except OSError as error:  # a full disk, a lost mount: one line is all there is to say
            raise StudyError(
                f"{error.filename or folder}: {error.strerror or error}; once this is fixed, the same command goes on"
            ) from error
        finally:
            if not means.once:
                loop.runs.kill()
            loop.samplers.close()
            for observer in means.observers:
                observer.close(folder)
        return 0 if code is None else code or verdict(ledger, study)


def _environment(means: Means) -> Mapping[str, str]:
    return os.environ if means.environment is None else means.environment


def _ends_with_us(launcher: Launcher) -> ConfigError:
    rule = "runs of this launcher end with the coordinator"
    return ConfigError(Problem(rule, ("launcher",), allowed="slurm, for --once", given=launcher.name))


def _assembled(
    study: Study,
    ledger: Ledger,
    machine: Machine,
    slots: Slots,
    launcher: Launcher,
    stopping: Stopping,
    means: Means,
) -> Loop:
    """Builds the parts of a coordinator around its ledger and finishes the work that an earlier coordinator began."""
    profiles = RecordedProfiles(ledger, machine_profiles(machine, slots))
    configurations = TrainableConfigurations(
        study, prepare_once(study, ledger, means.prepare), machine, slots, profiles
    )
    limits = Limits(machine.timeout, 60 * machine.stall_minutes if machine.stall_minutes else None)
    runs = Runs(ledger, slots, launcher, configurations.execution, means.command, limits)
    runs.take_over()  # before the storage is asked for: it may be away, and survivors hold devices
    backend = means.backend or backend_of(study)
    samplers = backend.open(study, ledger, _environment(means).get("OPTUNA_STORAGE"))
    teller = Teller(ledger, study, samplers, machine.retries)
    ends_early = study.search is not None and study.search.until is not None
    enough = by_name(_ASSESSOR)(ledger, study).enough if ends_early else never_enough
    asker = Asker(ledger, study, configurations.build, samplers, teller, enough)
    judge, inbox = Judge(ledger, study, teller, backend), Inbox(ledger.folder)
    catch_up(ledger, study, asker)
    looks = SeedLooks(ledger, means.look)
    looks.declare()
    inbox.drop_stops()
    return Loop(
        ledger,
        asker,
        agenda=Agenda(ledger, machine.retries, branching=judge.branching),
        runs=runs,
        teller=teller,
        judge=judge,
        recommend=partial(_recommend, ledger, study),
        confirmer=Confirmer(ledger, study),
        looks=looks,
        samplers=samplers,
        slots=slots,
        stopping=stopping,
        inbox=inbox,
        observers=means.observers,
        poll=means.poll,
        retries=machine.retries,
    )


def _recommend(ledger: Ledger, study: Study) -> None:
    if study.search is not None:
        by_name(_RECOMMENDER)(ledger, study).recommend()


def catch_up(ledger: Ledger, study: Study, asker: Asker) -> None:
    """Finishes what an earlier coordinator began, and gives known configurations the seeds that the study asks
    for now.
    """
    for trial in list(ledger.study.trials.values()):
        asker.reject(trial)
        if trial.kind == "tuning" and trial.system is not None and study.system(trial.system).rates is not None:
            continue
        seeds = study.seeds_of(trial.system)
        if len(trial.seeds) < seeds and trial.rejected is None and (trial.told is None or trial.complete):
            ledger.write(TrialReseeded(trial=trial.number, seeds=list(range(seeds))))


def verdict(ledger: Ledger, study: Study) -> int:
    """Returns the exit code of a study that is done. Raises NothingFeasible.

    NothingFeasible is also raised when some configurations were feasible but the search gave up because nothing more
    can be trained: such a search is not done.
    """
    trials = ledger.study.trials.values()
    failed = [trial for trial in trials if trial.failed]
    unconfirmed = any(not trial.done(index) for trial in trials for index in trial.confirming)
    for system in study.systems:
        if system.tune:
            _check_given_up(system.tune, sampled_for(ledger, system.name), f"tuning configurations of {system.name}")
    if study.search is not None:
        _check_given_up(study.search.trials, sampled_for(ledger, None), "sampled configurations")
        _check_feasible(sampled_for(ledger, None))
    return 1 if failed or unconfirmed else 0


def _check_given_up(wanted: int, trials: Sequence[TrialRecord], what: str) -> None:
    trained = [trial for trial in trials if not trial.rejected]
    if len(trained) < wanted and rejected_in_a_row(trials):
        assert trials[-1].rejected is not None
        raise NothingFeasible(
            f"the last {REJECTED_IN_A_ROW} {what} were rejected before training, after {len(trained)} of "
            f"{wanted} trials; "
            f"the last reason: {trials[-1].rejected.reason}"
        )


def _check_feasible(sampled: Sequence[TrialRecord]) -> None:
    trained = [trial for trial in sampled if not trial.rejected]
    if not any(trial.feasible or trial.failed for trial in trained):
        raise NothingFeasible(
            f"none of {len(trained)} sampled configurations is feasible: every one violated a constraint"
        )
