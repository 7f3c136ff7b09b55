"""`doctor`: versions, devices, threads, disk, and leftovers of processes that are gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pld_search.app.machine_checks import machine_facts
from pld_search.app.machine_setup import machine_of
from pld_search.cli.options import Json, MachineFile, Runs
from pld_search.cli.output import emit, say


def doctor(json: Json = False, runs: Runs = None, machine: MachineFile = None) -> None:
    """Check installation, machine and leftovers of killed runs.

    Lists runs that count as going on without a process, and compares the cache with what was built.
    """
    facts = machine_facts(machine_of(machine, runs=runs))
    if json:
        emit(facts)
        return
    for text in told(facts):
        say(text)


def told(facts: dict[str, Any]) -> Iterator[str]:
    """Formats the facts as lines of text."""
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
    if facts["platform"]:
        yield f"platform     {'; '.join(facts['platform'])}"
    for left in facts["leftovers"]:
        run = f"{left['study']} trial {left['trial']} seed {left['seed_index']}"
        yield f"leftover     {run}: process {left['pid']} is gone; `pld-search run` on its study goes on"
    if not facts["leftovers"]:
        yield "leftovers    none"
    for build in facts["damaged"]:
        yield (
            f"damaged      {build['folder']}: {', '.join(build['files'])}; the next `prepare` or `run` that "
            "needs it builds it again"
        )
