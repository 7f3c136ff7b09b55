"""Which launcher a machine asks for, and whose task a launch of another one is when a study has moved."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pld_search.records.trial_record import LaunchRecord
from pld_search.search.launchers.base import Launcher
from pld_search.search.launchers.local import LocalLauncher
from pld_search.search.launchers.ray import open_ray
from pld_search.search.launchers.slurm import SlurmLauncher, open_slurm
from pld_search.specs.launcher_settings import Ray, Slurm
from pld_search.specs.machine import Machine


def open_launcher(machine: Machine) -> Launcher:
    """The launcher of a machine. Raises ConfigError where its library is not installed, StudyError where its cluster
    does not answer.
    """
    if machine.launcher == "ray":
        return open_ray(machine.ray or Ray(), machine.gpus_per_run, gpus=machine.device == "cuda")
    if machine.launcher == "slurm":
        return open_slurm(machine.slurm or Slurm(), machine.gpus_per_run, gpus=machine.device == "cuda")
    return LocalLauncher()


def end_survivors(current: Launcher, launches: Collection[tuple[Path, LaunchRecord]]) -> None:
    """Kill what a dead coordinator left running. Processes and SLURM's jobs are found from any launcher; a Ray cluster
    ends by itself what a coordinator that is gone had started there. Raises StudyError where SLURM cannot be asked.
    """
    known: dict[str, Launcher] = {each.name: each for each in (LocalLauncher(), SlurmLauncher(), current)}
    for name, launcher in known.items():
        own = [(folder, launch) for folder, launch in launches if launch.launcher == name]
        if own:
            launcher.end_survivors(own)
