"""pld_search: declare layer-drop schedules, search them, train the variants and compare them at equal budget.

The public names below are imported when they are first used, so that importing the package costs nothing:

    load_schedule(source, layers=, steps=, sets=)   a schedule by name or file
    Schedule, Plan, Gates                           what is kept, when and where; the compiled draw; one group's step
    forecast_run(schedule, model, data, batch, steps)   expected layers and FLOPs of a run (`forecast` is the room)
    Experiment, Execution                           what one run is, and how it is executed
    load_study(source, sets=)                       a study file
    train(experiment, execution, out)               one run
    run_study(study, folder, machine, ...)          a whole study
    attach(model, schedule, steps=, ...)            a model of your own under a schedule
    view(folder), rows(view), comparison(view)      what a study's files say
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "load_schedule": "pld_search.forecast.load",
    "Schedule": "pld_search.schedules.schedule",
    "Plan": "pld_search.schedules.plan",
    "Gates": "pld_search.schedules.plan",
    "forecast_run": "pld_search.forecast.run",
    "Experiment": "pld_search.specs.experiment",
    "Execution": "pld_search.specs.execution",
    "load_study": "pld_search.spaces.study",
    "train": "pld_search.training.run",
    "run_study": "pld_search.search.coordinator",
    "attach": "pld_search.model.attach.drop",
    "view": "pld_search.records.study",
    "rows": "pld_search.report.rows",
    "comparison": "pld_search.report.comparison",
}
__all__ = ["__version__", *_HOMES]
_NAMES = {"forecast_run": "forecast"}  # where the name at home would be that of a room


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), _NAMES.get(name, name))


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
