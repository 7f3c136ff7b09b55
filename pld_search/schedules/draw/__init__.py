"""Draw families: each maps keep probabilities and hash words to the kept layers. Each family has its own file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pld_search.schedules.draw.bernoulli import Bernoulli
from pld_search.schedules.draw.exact import Exact
from pld_search.schedules.draw.family import DrawFamily, Sample
from pld_search.schedules.draw.lowest import Lowest

Draw = Annotated[Bernoulli | Exact | Lowest, Field(discriminator="kind")]

__all__ = ["Bernoulli", "Draw", "DrawFamily", "Exact", "Lowest", "Sample"]
