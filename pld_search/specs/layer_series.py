"""The key `analysis` of a study: how often the layers of its runs are analysed during training."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pld_search.frozen import Spec
from pld_search.schedules.units import Extent
from pld_search.specs import limits


class Analysis(Spec):
    """Part of how a run is executed, never of its definition: no digest holds it, and no result depends on it."""

    every: Annotated[
        Extent, Field(description="the distance between two analyses; also before the first step and at T")
    ]
    sequences: Annotated[
        int, Field(ge=1, le=limits.COUNT, description="maximum number of validation sequences that an analysis reads")
    ] = 64
