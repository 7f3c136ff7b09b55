"""Temporal families: theta(t), the keep rate at step t of a run of T steps, before the depth family spreads it over the
layers. Each family has its own file.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pld_search.schedules.temporal.constant import Constant
from pld_search.schedules.temporal.cosine import Cosine
from pld_search.schedules.temporal.exponential import Exponential
from pld_search.schedules.temporal.exponential_growth import ExponentialGrowth
from pld_search.schedules.temporal.family import TemporalFamily
from pld_search.schedules.temporal.linear import Linear
from pld_search.schedules.temporal.phases import Phase, Phases
from pld_search.schedules.temporal.polynomial import Polynomial
from pld_search.schedules.temporal.stages import Stages
from pld_search.schedules.temporal.table import Table

Temporal = Annotated[
    Constant | Linear | Exponential | ExponentialGrowth | Cosine | Polynomial | Stages | Table | Phases,
    Field(discriminator="kind"),
]

__all__ = [
    "Constant",
    "Cosine",
    "Exponential",
    "ExponentialGrowth",
    "Linear",
    "Phase",
    "Phases",
    "Polynomial",
    "Stages",
    "Table",
    "Temporal",
    "TemporalFamily",
]
