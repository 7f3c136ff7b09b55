"""The gates that passes through the stack follow at the moment: the gates of the open step, or the factors at full
depth.
"""

from __future__ import annotations

import warnings

import torch
from torch import nn

from pld_search.errors import AttachError
from pld_search.model.attach.block_gate import Gate
from pld_search.model.attach.stack_pass import Forms, Share, Walk
from pld_search.model.attach.wrappers import AttachedSurroundings

OUTSIDE = (
    "a training pass came through an attached model outside `drop.step(...)`: it runs at full depth and is "
    "no part of the schedule; "
    "open the step around it, or call model.eval() or torch.no_grad() where it is no training"
)


class Passes:
    """`step`: the gates of training passes while a step is open. `full_depth`: the gates of all other passes; None
    leaves the model unchanged.
    """

    def __init__(self, surroundings: AttachedSurroundings) -> None:
        self.step: Share | None = None
        self.full_depth: Share | None = None
        self.last: Walk | None = None
        self.compiled = False
        self._warned = False
        self._surroundings, self._forms = surroundings, Forms()

        def note() -> bool:
            self.compiled = True
            return True

        # Dynamo calls it during tracing, the only moment at which a compiled model around the stack can be detected.
        self.traced = torch.compiler.assume_constant_result(note)  # type: ignore[no-untyped-call]

    def open(self, share: Share) -> None:
        """Begins a step: training passes follow `share` from now on."""
        self.step, self.last, self.compiled = share, None, False

    def close(self) -> None:
        """Ends the step: training passes run like all others."""
        self.step = self.last = None

    def gated(self, training: bool) -> bool:
        """Whether a pass in this mode is gated. Raises AttachError for a checkpoint's recomputation after the end of
        its step.
        """
        if (
            training
            and self.step is None
            and not torch.compiler.is_compiling()
            and torch._C._current_graph_task_id() != -1
        ):
            raise AttachError(
                "a checkpoint around the whole stack computes it again in the backward pass, after its step "
                "was closed: "
                "call backward inside `step`, or checkpoint block by block (gradient_checkpointing_enable)"
            )
        return self._share(training) is not None

    def ended(self, training: bool) -> None:
        """Warns once of a training pass outside a step, which no other part would notice; called after each pass."""
        if training and self.step is None and not self._warned and torch.is_grad_enabled():
            self._warned = True
            warnings.warn(OUTSIDE, stacklevel=2)

    def gates(self, blocks: list[nn.Module], training: bool, continues: bool) -> list[Gate]:
        """Returns gates for the blocks of one pass; empty if it is not gated. `continues`: whether it continues the
        last pass, if there is one.
        """
        share = self._share(training)
        if share is None:
            return []
        if share is not self.step:
            return Walk(blocks, share, self._forms).gates()
        if self.last is None or not continues:
            self._surroundings.check()
            self.last = Walk(blocks, share, self._forms)
        return self.last.gates()

    def _share(self, training: bool) -> Share | None:
        return self.step if training and self.step is not None else self.full_depth
