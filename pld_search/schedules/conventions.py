"""The words for the effect of a draw on a training step, and the attributes that the table of combinations reads."""

from __future__ import annotations

from typing import Literal, Protocol

from pld_search.schedules.depth import Depth
from pld_search.schedules.draw import Draw
from pld_search.schedules.temporal import Temporal

Rescale = Literal["sublayer", "block", "none", "evaluation", "deepspeed"]
Skipped = Literal["freeze", "decay", "zero_grad"]
Where = Literal["sublayer", "block", "none"]
"""What a training scale multiplies: each sublayer's residual, the block's residual, or nothing."""


class Conventions(Protocol):
    """The attributes that the table of combinations reads; a Schedule has them all."""

    @property
    def temporal(self) -> Temporal:
        """How the keep rate theta changes over the steps."""

    @property
    def depth(self) -> Depth:
        """How theta is spread over the layers."""

    @property
    def draw(self) -> Draw:
        """How layers are drawn with their keep probabilities."""

    @property
    def rescale(self) -> Rescale:
        """How the residuals of layers that run are scaled."""

    @property
    def skipped(self) -> Skipped:
        """What happens to the weights of layers that no group ran."""

    @property
    def run(self) -> str | None:
        """The run length that the schedule is tied to; None allows any length."""
