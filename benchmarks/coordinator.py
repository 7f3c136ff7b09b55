"""Measures the coordinator's own cost: many simulated runs in many slots on each storage, its CPU time and memory.

    python benchmarks/coordinator.py [--runs 200] [--slots 8] [--out FILE]

The runs are processes of the fake trainer (tests/search/fake_trainer.py), which emits the events of a run and computes
no gradient. CPU seconds are the coordinator process's own (`time.process_time`, without children), so a busy machine
lengthens the wall-clock time but hardly changes the figure. A whole study is compared with a quarter of it; the
difference is the cost of the further runs, without imports, opening and closing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.search.postgres import binaries, postgres  # noqa: E402
from tests.search.studies import small_study  # noqa: E402

COORDINATE = ROOT / "tests" / "search" / "coordinate.py"
SEARCH = "search: {{sampler: tpe, trials: {trials}, seed: 0}}\n"


def measure(place: Path, runs: int, slots: int, url: str | None) -> dict[str, Any]:
    """Runs one study of `runs` sampled trials; returns CPU seconds, peak memory and counts from its records."""
    place.mkdir(parents=True, exist_ok=True)
    small_study(place, SEARCH.format(trials=runs))
    cost, folder = place / "cost.json", place / "runs" / "small"
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "COORDINATE_COST": str(cost),
        **({"COORDINATE_STORAGE": url} if url else {}),
    }
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(COORDINATE), str(place / "small.yaml"), str(folder), str(slots)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    kinds = [json.loads(line) for line in (folder / "study.jsonl").read_text().splitlines()]
    params = [json.dumps(record["params"], sort_keys=True) for record in kinds if record["event"] == "asked"]
    return {
        **json.loads(cost.read_text()),
        "wall_seconds": time.monotonic() - begun,
        "exit_code": done.returncode,
        "errors": done.stderr.strip().splitlines(),
        "asked": len(params),
        "duplicates": len(params) - len(set(params)),
        "launched": sum(record["event"] == "launched" for record in kinds),
        "finished": sum(record["event"] == "exited" and record["outcome"] == "finished" for record in kinds),
        "storage_away": sum(record["event"] == "storage" for record in kinds),
    }


@contextlib.contextmanager
def storages(place: Path) -> Iterator[dict[str, str | None]]:
    """Yields the storage URLs: the default journal, sqlite, and PostgreSQL when its binaries are installed."""
    found: dict[str, str | None] = {"journal": None, "sqlite": f"sqlite:///{place}/optuna.db"}
    if binaries() is None:
        yield found
        return
    with postgres() as server:
        yield {**found, "postgresql": server.url}


def compare(runs: int, slots: int) -> dict[str, Any]:
    """Runs, for every storage, the whole study and a quarter of it; their difference is the cost of further runs in
    time and memory.
    """
    results: dict[str, Any] = {}
    load = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory() as name:
        for part, count in (("quarter", runs // 4), ("whole", runs)):
            with storages(Path(name)) as urls:
                for kind, url in urls.items():
                    place = Path(name) / part / kind
                    place.mkdir(parents=True)
                    own = url.replace("optuna.db", f"{part}.db") if url and kind == "sqlite" else url
                    results.setdefault(kind, {})[part] = measure(place, count, slots, own)
                    load.append(os.getloadavg()[0])
    for result in results.values():
        whole, quarter = result["whole"], result["quarter"]
        more = whole["launched"] - quarter["launched"]
        result["cpu_ms_per_run"] = 1000 * (whole["cpu_seconds"] - quarter["cpu_seconds"]) / more
        result["memory_growth_mib_per_100_runs"] = 100 * (whole["peak_mib"] - quarter["peak_mib"]) / more
    return {
        "runs": runs,
        "slots": slots,
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "load_average": load,
        "storages": results,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found = compare(given.runs, given.slots)
    text = json.dumps(found, indent=1) + "\n"
    if given.out is not None:
        given.out.write_text(text)
    for kind, result in found["storages"].items():
        whole = result["whole"]
        print(
            f"{kind}: {result['cpu_ms_per_run']:.1f} ms of CPU a run, "
            f"{result['memory_growth_mib_per_100_runs']:.1f} MiB more for 100 runs;",
            end=" ",
        )
        print(
            f"{whole['finished']} of {whole['asked']} finished in {whole['wall_seconds']:.0f} s, "
            f"{whole['duplicates']} duplicates,",
            end=" ",
        )
        print(f"errors: {whole['errors'] or 'none'}")


if __name__ == "__main__":
    main()
