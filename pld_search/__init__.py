"""pld_search: declare layer-drop schedules, search them, train the variants and compare them at equal budget.

The names below are stable for scripts; tests/test_public.py checks their arguments. Each is imported at its first use,
so importing the package costs nothing.

    load_schedule(source, layers=, steps=, sets=)       a schedule by name, path, mapping or Schedule
    Schedule                                            a frozen value: keep_probabilities(...), theta(step, total)
    forecast(schedule, steps=, layers=)                 what a run is expected to keep; with experiment=, its FLOPs
    attach(model, schedule, steps=, ...)                trains a model of your own with a schedule
    run(study, sets=, ...)                              runs a whole study, as `pld-search run` does
    results(study)                                      reads a study's files: rows, comparison, records
    hf.LayerDrop, compat.ProgressiveLayerDrop           a callback for transformers' Trainer; DeepSpeed's object
    errors                                              every exception raised on purpose; PldSearchError is their root
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pld_search import compat as compat
    from pld_search import errors as errors
    from pld_search import hf as hf
    from pld_search.api.results import results as results
    from pld_search.api.run import run as run
    from pld_search.costs.forecast_answer import forecast as forecast
    from pld_search.costs.load_schedule import load_schedule as load_schedule
    from pld_search.model.attach.layer_drop import attach as attach
    from pld_search.schedules.schedule import Schedule as Schedule

__version__ = "0.2.0"

_HOMES = {
    "forecast": "pld_search.costs.forecast_answer",
    "load_schedule": "pld_search.costs.load_schedule",
    "Schedule": "pld_search.schedules.schedule",
    "attach": "pld_search.model.attach.layer_drop",
    "run": "pld_search.api.run",
    "results": "pld_search.api.results",
}
_MODULES = ("compat", "errors", "hf")
__all__ = ["Schedule", "__version__", "attach", "compat", "errors", "forecast", "hf", "load_schedule", "results", "run"]


if not TYPE_CHECKING:  # a type checker knows every name from above, and reports unknown names

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
