"""The attached stack: the same list of the same blocks, which inside a step returns gates in their places.

Only the class of the list changes, as FSDP2 changes the class of modules. Parameters, buffers, hooks and names of a
state dict stay. Outside a step, and in evaluation mode, the list returns the blocks themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from pld_search.errors import AttachError
from pld_search.model.attach.find_blocks import Stack
from pld_search.model.attach.wrappers import PARALLEL

if TYPE_CHECKING:
    from pld_search.model.attach.block_gate import Gate
    from pld_search.model.attach.open_pass import Passes


def _empty(kind: type[nn.Module]) -> nn.Module:
    """Returns a module of a class without its parts, which its state will set."""
    return kind.__new__(kind)


class _Gated:
    """A mixin before nn.ModuleList or nn.Sequential in the method resolution order."""

    _pld_passes: Passes | None = None  # a slice is a list of the same class without its own passes

    def __reduce_ex__(self, _protocol: Any) -> Any:
        """Copies and pickles as a plain list of plain blocks, because only this model follows the steps of its `Drop`.

        Raises AttachError under `rescale: evaluation`, because a copy would be evaluated without its factors.
        """
        if self._pld_passes is not None and self._pld_passes.full_depth is not None:
            raise AttachError(
                "a copy or a pickle of a model under `rescale: evaluation` would be evaluated without its factors: "
                "detach() it first, or choose rescale='block', which needs none"
            )
        state = {key: value for key, value in self.__dict__.items() if key != "_pld_passes"}
        return _empty, (_PLAIN[type(self)],), state

    def __iter__(self) -> Iterator[Any]:
        gates = self._pld_gates()
        return super().__iter__() if gates is None else iter(gates)  # type: ignore[misc]  # of the list class beside it

    def __getitem__(self, index: int | slice) -> Any:
        gates = self._pld_gates(continues=isinstance(index, int) and index != 0)
        return super().__getitem__(index) if gates is None else gates[index]  # type: ignore[misc]

    def _pld_gates(self, continues: bool = False) -> list[Gate] | None:
        """Returns gates for all blocks if the pass is gated, else None. `continues`: reading one block after another is
        one pass.
        """
        passes, training = self._pld_passes, cast(nn.Module, self).training
        if passes is None or not passes.gated(training):
            return None
        if getattr(self, "_is_replica", False):
            raise AttachError(PARALLEL)
        if torch.compiler.is_compiling():
            passes.traced()
            return None  # the traced result is not used: the end of the step refuses it
        return passes.gates(list(cast(nn.Module, self).children()), training, continues)


class GatedModuleList(_Gated, nn.ModuleList):
    """An attached ModuleList."""


class GatedSequential(_Gated, nn.Sequential):
    """An attached Sequential."""


_GATED: dict[type, type] = {nn.ModuleList: GatedModuleList, nn.Sequential: GatedSequential}
_PLAIN = {gated: kind for kind, gated in _GATED.items()}


def open_stack(path: str, stack: Stack, passes: Passes) -> None:
    """Makes a stack return the gates of `passes`. Raises AttachError for a stack that is already attached."""
    if isinstance(stack, _Gated):
        raise AttachError(f"{path} is attached already; detach() it first")
    if type(stack) not in _GATED:
        raise AttachError(
            f"{path} is a {type(stack).__name__}, whose own way of iterating over its blocks would be lost: only "
            "nn.ModuleList and nn.Sequential can be attached"
        )
    stack.__class__ = _GATED[type(stack)]
    stack._pld_passes = passes  # type: ignore[assignment]


def close_stack(stack: Stack) -> None:
    """Restores the original list."""
    del stack._pld_passes
    stack.__class__ = _PLAIN[type(stack)]
