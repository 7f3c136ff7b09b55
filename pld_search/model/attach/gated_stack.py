"""The stack while it is attached: the same list of the same blocks, which inside a step hands out gates in their
places.

The list changes its class, as FSDP2 does with modules, and nothing else: parameters, buffers, hooks and names of a
state dict stay. Outside a step, and in evaluation mode, it hands out the blocks themselves.
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
    """A module of a class without its parts, which its state brings."""
    return kind.__new__(kind)


class _Gated:
    """Before nn.ModuleList or nn.Sequential in the order of classes."""

    _pld_passes: Passes | None = None  # a slice is a list of the same class without passes of its own

    def __reduce_ex__(self, _protocol: Any) -> Any:
        """A copy and a pickle are the plain list of plain blocks: only this model follows the steps of its `Drop`.

        Raises AttachError under `rescale: evaluation`, whose factors a copy would be evaluated without.
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
        return super().__iter__() if gates is None else iter(gates)  # type: ignore[misc]  # of the list this is mixed into

    def __getitem__(self, index: int | slice) -> Any:
        gates = self._pld_gates(continues=isinstance(index, int) and index != 0)
        return super().__getitem__(index) if gates is None else gates[index]  # type: ignore[misc]

    def _pld_gates(self, continues: bool = False) -> list[Gate] | None:
        """Gates for all blocks where a pass is to be gated. `continues`: a pass that asks for one block after another
        is one pass.
        """
        passes, training = self._pld_passes, cast(nn.Module, self).training
        if passes is None or not passes.gated(training):
            return None
        if getattr(self, "_is_replica", False):
            raise AttachError(PARALLEL)
        if torch.compiler.is_compiling():
            passes.traced()
            return None  # what is traced does not matter: the end of the step refuses it
        return passes.gates(list(cast(nn.Module, self).children()), training, continues)


class GatedModuleList(_Gated, nn.ModuleList):
    """A ModuleList that is attached."""


class GatedSequential(_Gated, nn.Sequential):
    """A Sequential that is attached."""


_GATED: dict[type, type] = {nn.ModuleList: GatedModuleList, nn.Sequential: GatedSequential}
_PLAIN = {gated: kind for kind, gated in _GATED.items()}


def open_stack(path: str, stack: Stack, passes: Passes) -> None:
    """Put `passes` between a stack and whoever walks through it. Raises AttachError for one that is attached
    already.
    """
    if isinstance(stack, _Gated):
        raise AttachError(f"{path} is attached already; detach() it first")
    if type(stack) not in _GATED:
        raise AttachError(
            f"{path} is a {type(stack).__name__}, whose own way of handing out blocks would be lost: only "
            "nn.ModuleList and nn.Sequential can be attached"
        )
    stack.__class__ = _GATED[type(stack)]
    stack._pld_passes = passes  # type: ignore[assignment]


def close_stack(stack: Stack) -> None:
    """The list as it was."""
    del stack._pld_passes
    stack.__class__ = _PLAIN[type(stack)]
