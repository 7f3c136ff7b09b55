"""What a schedule is expected to cost, in closed form, and the numbers solved from that: steps of a budget, equal savings. Pure.

Called as `pld_search.forecast(schedule, steps=, layers=)`, the room answers with its public function (answer.py): a package and
a public function share the name, and Python binds it to the package as soon as anything in it is imported.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Answering(ModuleType):
    """This package, which can be called."""

    def __call__(self, schedule: Any, *, steps: int, layers: int | None = None, groups: int | None = None, experiment: Any = None) -> Any:
        """See `pld_search.forecast.answer.forecast`."""
        from pld_search.forecast.answer import forecast

        given: dict[str, Any] = {"layers": layers, "groups": groups, "experiment": experiment}
        return forecast(schedule, steps=steps, **given)


sys.modules[__name__].__class__ = _Answering
