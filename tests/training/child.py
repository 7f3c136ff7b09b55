"""A run in a process of its own, as the command line would start it, with two hooks for tests.

python -m tests.training.child SETTINGS.json: {"experiment", "execution", "out", "kill_at": step | null, "scale": [initial, growth] | null,
"until": step | null, "branch": step | null}
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from pld_search.errors import PldSearchError
from pld_search.records.run import RunWriter
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.training import precision
from pld_search.training.branch import branch
from pld_search.training.run import train


def die_at(step: int) -> None:
    """kill -9 of this process right after the progress event of `step`: no handler, no cleaning up."""
    emit = RunWriter.emit

    def emit_and_die(self: RunWriter, event: str, at: int, **fields: Any) -> None:
        emit(self, event, at, **fields)
        if event == "progress" and at == step:
            os.kill(os.getpid(), signal.SIGKILL)

    RunWriter.emit = emit_and_die  # type: ignore[method-assign,assignment]


def main() -> int:
    settings = json.loads(Path(sys.argv[1]).read_text())
    if settings.get("kill_at"):
        die_at(settings["kill_at"])
    if settings.get("scale"):
        precision.INITIAL_SCALE, precision.GROWTH_INTERVAL = settings["scale"]
    try:
        what, how, out = Experiment(**settings["experiment"]), Execution(**settings["execution"]), Path(settings["out"])
        if settings.get("branch"):
            branch(what, how, out, settings["branch"])
        else:
            train(what, how, out, until=settings.get("until"))
    except PldSearchError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
