"""A run in a process of its own, as the command line would start it, with two hooks for tests.

python -m tests.training.child SETTINGS.json: {"experiment", "execution", "out", "kill_at": step | null, "scale":
[initial, growth] | null,
"until": step | null, "branch": step | null, "kill_nth": 1, "fault": faults.Fault | null}
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from pld_search.errors import PldSearchError
from pld_search.records.events import RunEvent, RunProgress
from pld_search.records.run_record import RunWriter
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.training import precision
from pld_search.training.branch import branch
from pld_search.training.train_run import train
from tests.training.faults import Fault, inject


def die_at(step: int, nth: int) -> None:
    """kill -9 of this process right after the nth progress event of `step`: no handler, no cleaning up."""
    emit, seen = RunWriter.emit, []

    def emit_and_die(self: RunWriter, event: RunEvent, *, durable: bool = False) -> None:
        emit(self, event, durable=durable)
        if isinstance(event, RunProgress) and event.step == step:
            seen.append(event.step)
        if len(seen) == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    RunWriter.emit = emit_and_die  # type: ignore[method-assign,assignment]


def main() -> int:
    settings = json.loads(Path(sys.argv[1]).read_text())
    if settings.get("kill_at"):
        die_at(settings["kill_at"], settings.get("kill_nth", 1))
    if settings.get("fault"):
        inject(setattr, Fault(*settings["fault"]))
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
