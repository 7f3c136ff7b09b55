"""Depth families: each maps theta to the keep probability p_l of every layer l = 1 .. L (layer 1 is next to the
embeddings). Each family has its own file.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pld_search.schedules.depth.alternate import AlternateDepth
from pld_search.schedules.depth.exponential import ExponentialDepth
from pld_search.schedules.depth.family import DepthFamily, Index, fractions_of
from pld_search.schedules.depth.linear import LinearDepth
from pld_search.schedules.depth.polynomial import PolynomialDepth
from pld_search.schedules.depth.table import DepthTable
from pld_search.schedules.depth.uniform import UniformDepth

Depth = Annotated[
    UniformDepth | LinearDepth | PolynomialDepth | ExponentialDepth | AlternateDepth | DepthTable,
    Field(discriminator="kind"),
]

__all__ = [
    "AlternateDepth",
    "Depth",
    "DepthFamily",
    "DepthTable",
    "ExponentialDepth",
    "Index",
    "LinearDepth",
    "PolynomialDepth",
    "UniformDepth",
    "fractions_of",
]
