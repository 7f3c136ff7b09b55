"""The words for what a draw does to a training step, and what the rules between them look at."""

from __future__ import annotations

from typing import Literal, Protocol

from pld_search.schedules.depth import Depth
from pld_search.schedules.draw import Draw
from pld_search.schedules.temporal import Temporal

Rescale = Literal["sublayer", "block", "none", "evaluation", "deepspeed"]
Skipped = Literal["freeze", "decay", "zero_grad"]
Where = Literal["sublayer", "block", "none"]
"""What a training scale multiplies: each sublayer's residual, the block's, or nothing."""


class Conventions(Protocol):
    """What the table of combinations looks at; a Schedule is one."""

    @property
    def temporal(self) -> Temporal:
        """How the keep rate theta runs over the steps."""

    @property
    def depth(self) -> Depth:
        """How theta is spread over the layers."""

    @property
    def draw(self) -> Draw:
        """How layers are drawn from their keep probabilities."""

    @property
    def rescale(self) -> Rescale:
        """How the residuals of layers that run are scaled."""

    @property
    def skipped(self) -> Skipped:
        """What happens to the weights of layers that no group ran."""

    @property
    def run(self) -> str | None:
        """The length of run that the schedule is tied to; None: any."""
