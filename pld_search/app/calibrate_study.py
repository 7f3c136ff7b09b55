"""Measures every architecture of a study in turn, each in a separate process in an otherwise empty slot, and stores the
profiles in the cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from pld_search.costs.profile import Profile, architecture_text
from pld_search.costs.profile_store import KnownProfiles, MergedProfiles, Profiles, profiles_folder
from pld_search.errors import ConfigError, Problem, StudyError
from pld_search.records.study_record import fold_study
from pld_search.search.recorded_profiles import machine_profiles
from pld_search.search.slots import Slots
from pld_search.spaces.resolve import Resolver
from pld_search.spaces.study import Study
from pld_search.spaces.trained_architectures import architectures
from pld_search.specs.experiment import Experiment
from pld_search.specs.machine import Machine
from pld_search.specs.prepared_data import Prepared
from pld_search.specs.spec_files import write_execution, write_experiment

Tell = Callable[[str], None]


def calibrate_study(study: Study, machine: Machine, slots: Slots, tell: Tell) -> Prepared:
    """Prepares the study's data, measures all its architectures anew (the target's too), and returns the data.

    An architecture that cannot be measured (it needs too much memory, for example) is reported and left out. Raises
    StudyError when none could be measured, ConfigError for runs of several processes.
    """
    if slots.ranks > 1:
        raise ConfigError(
            Problem(
                "a calibration measures runs of one process", ("gpus_per_run",), allowed="1", given=str(slots.ranks)
            )
        )
    from pld_search.app.prepare_study import prepare_study  # loads tokenizers, which a plan without --calibrate spares

    prepared = prepare_study(study, machine, tell)
    found = architectures(Resolver(study, prepared, slots.device))
    failures = []
    for number, experiment in enumerate(found.values(), start=1):
        tell(f"measuring architecture {number} of {len(found)}: {_about(experiment)}")
        failure = _measured(experiment, prepared, machine, slots)
        if failure is not None:
            failures.append(failure)
            tell(f"not measured: {failure}")
    if len(failures) == len(found):
        raise StudyError(
            f"no architecture could be measured: {failures[0] if failures else 'the study has none that can be built'}"
        )
    return prepared


def _about(experiment: Experiment) -> str:

    return architecture_text(experiment.model, experiment.data, experiment.batch, experiment.precision)


def _measured(experiment: Experiment, prepared: Prepared, machine: Machine, slots: Slots) -> str | None:
    """Measures one architecture in the environment of a run in the first slot; returns None or the error."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_experiment(folder / "experiment.yaml", experiment)
        write_execution(
            folder / "execution.yaml", machine.execution(slots.device, slots.threads, prepared.folders, slots.sharing)
        )
        command = [
            sys.executable,
            "-m",
            "pld_search",
            "calibrate",
            str(folder / "experiment.yaml"),
            "--store",
            str(profiles_folder(machine.cache)),
        ]
        command += ["--seconds", str(machine.calibration_seconds)]
        done = subprocess.run(
            command, env={**os.environ, **slots.environment(0)}, capture_output=True, text=True, check=False
        )
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"ended with exit code {done.returncode}"


def profiles_for(folder: Path, machine: Machine, slots: Slots) -> Profiles:
    """Returns the profiles for a plan of the study in `folder`: its recorded profiles, else the machine's."""
    recorded = fold_study(folder).profiles
    own = KnownProfiles({architecture: Profile.model_validate(profile) for architecture, profile in recorded.items()})
    return MergedProfiles(own, machine_profiles(machine, slots))


def resolver_for(study: Study, machine: Machine, slots: Slots, prepared: Prepared) -> Resolver:
    """Makes a resolver that builds the study's configurations with the measured profiles."""
    return Resolver(study, prepared, slots.device, profiles_for(Path(machine.runs) / study.name, machine, slots))
