"""Elements that a comparison omits, each with the reason that its author gives."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pld_search.frozen import Spec

Why = Annotated[str, Field(min_length=1, max_length=500)]


class Waive(Spec):
    """Stated reasons, each of which silences a note of `validate` and `plan`. They are not part of any digest."""

    tuning: Annotated[Why | None, Field(description="why the systems' learning rates are not tuned alike")] = None
    depth: Annotated[Why | None, Field(description="why no shallower full-depth row stands beside the dropping")] = None
