"""Opens the launcher that a machine asks for, and ends survivors of other launchers when a study has moved."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pld_search.by_name import by_name
from pld_search.records.trial_record import LaunchRecord
from pld_search.search.launchers.base import Launcher
from pld_search.search.launchers.local import LocalLauncher
from pld_search.specs.launcher_settings import Ray, Slurm
from pld_search.specs.machine import Machine

_RAY = "pld_search.search.launchers.ray:open_ray"
_SLURM = "pld_search.search.launchers.slurm:open_slurm"
_FOUND_FROM_ANYWHERE = {
    "local": "pld_search.search.launchers.local:LocalLauncher",
    "slurm": "pld_search.search.launchers.slurm:SlurmLauncher",
}


def open_launcher(machine: Machine, device: str) -> Launcher:
    """Returns the launcher of a machine whose runs compute on `device`. Raises ConfigError when its library is not
    installed, StudyError when its cluster does not answer.
    """
    found: Launcher = LocalLauncher(warm=machine.is_warm(device))
    if machine.launcher == "ray":
        found = by_name(_RAY)(machine.ray or Ray(), machine.gpus_per_run, gpus=machine.device == "cuda")
    elif machine.launcher == "slurm":
        found = by_name(_SLURM)(machine.slurm or Slurm(), machine.gpus_per_run, gpus=machine.device == "cuda")
    return found


def end_survivors(current: Launcher, launches: Collection[tuple[Path, LaunchRecord]]) -> None:
    """Kills the runs that a dead coordinator left running. Processes and SLURM's jobs are found from any launcher; a
    Ray cluster itself ends the actors of a coordinator that is gone. Raises StudyError when SLURM cannot be asked.
    """
    for name in dict.fromkeys([*_FOUND_FROM_ANYWHERE, current.name]):
        own = [(folder, launch) for folder, launch in launches if launch.launcher == name]
        if own:
            launcher: Launcher = current if name == current.name else by_name(_FOUND_FROM_ANYWHERE[name])()
            launcher.end_survivors(own)
