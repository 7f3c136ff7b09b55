"""The facts stated beside every result: date, machine, load and versions."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("pld-search", "numpy", "torch")


def facts() -> dict[str, Any]:
    """Returns date (UTC), Python and package versions, processor, usable cores, and the load averages of the last 1, 5
    and 15 minutes.
    """
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)),
        },
        "load": [round(value, 2) for value in os.getloadavg()],
    }


def quiet(load: float, cores: int) -> bool:
    """Whether a load average leaves one core to this process."""
    return load < cores - 0.5


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        platform.processor() or "unknown",
    )
