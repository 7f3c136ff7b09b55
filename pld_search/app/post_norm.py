"""What is known of dropping layers in post-norm models, for a plan that is about to do it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def post_norm(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The line of it where a row of the plan does that."""
    if any(row["norm"] == "post" and row["expected_layers_mean"] < row["layers"] for row in rows):
        yield (
            "layers are dropped in a post-norm model. What is known: in the table of PLD's authors every system that drops layers is pre-norm, and both "
            "post-norm rows run at full depth with a peak lr of 1e-4, a tenth of the pre-norm rows'. A skipped post-norm block is the identity, its "
            "LayerNorms included. Keep a full-depth post-norm system as the reference, and 1e-4 among the learning rates."
        )
