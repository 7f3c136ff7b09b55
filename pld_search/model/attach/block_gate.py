"""One block inside a step: run unchanged, scaled, run for some sequences, or skipped. The gate takes the block's place
while the model iterates over its stack.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pld_search.errors import AttachError
from pld_search.model.attach.block_outputs import Returned, form_of, hidden_of, replaced
from pld_search.model.attach.row_arguments import cut
from pld_search.model.block_calls import Call
from pld_search.model.blocks import around

HIDDEN = ("hidden_states", "hidden_state", "hidden", "x", "src", "inputs", "input")
"""Names that blocks use for their hidden states, at any position of the argument."""
_NEVER = ("mask", "bias", "position", "index", "ids")


class Passing(Protocol):
    """The methods of a pass (stack_pass.py) that a gate calls."""

    def call(self, index: int, x: Tensor) -> Call | None:
        """Returns the call of block `index` (from 0) for its hidden states x; None if the block is skipped."""

    def passed_by(self, block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], x: Tensor) -> Any:
        """Returns the output of a skipped block: x in the form of the block's own output."""

    def seen(self, block: nn.Module, output: Any, args: tuple[Any, ...], kwargs: dict[str, Any], x: Tensor) -> Returned:
        """Stores and returns the form of a block's output for hidden states x."""

    def beside(self, block: nn.Module, form: Returned, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[Any, Any]:
        """Returns the values beside hidden states that do not come from one call of the block alone."""


class Gate:
    """Callable like the block; every other attribute is the block's own (ModernBERT reads its `attention_type`)."""

    def __init__(self, block: nn.Module, index: int, walk: Passing) -> None:
        self._block, self._index, self._walk = block, index, walk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._block, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        x = _hidden_argument(self._block, args, kwargs)
        call = self._walk.call(self._index, x)
        if call is None:
            return self._walk.passed_by(self._block, args, kwargs, x)
        if call.rows is None or len(call.rows) == len(x):
            return self._whole(call, x, args, kwargs)
        return self._rows(call, call.rows, x, args, kwargs)

    def _whole(self, call: Call, x: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        before = x._version
        output = self._block(*args, **kwargs)
        y = self._seen(output, args, kwargs, x)
        if call.where != "none" and x._version != before:
            raise _in_place(self._block)
        return output if call.scale == 1.0 else replaced(output, around(x, y, call.scale))

    def _rows(
        self, call: Call, chosen: tuple[int, ...], x: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Runs the block for the chosen rows and puts their results at their places among the other rows."""
        rows = torch.tensor(chosen).to(x.device, non_blocking=True)
        names = _names(self._block, args)[: len(args)]
        hidden = _hidden_name(self._block, args, kwargs)
        named = {**dict(zip(names, args, strict=True)), **kwargs}
        part = named.pop(hidden).index_select(0, rows)
        cut_named = {**cut(self._block, named, rows, len(x)), hidden: part}
        before = part._version
        cut_args = tuple(cut_named.pop(name) for name in names)
        output = self._block(*cut_args, **cut_named)
        if call.where != "none" and part._version != before:
            raise _in_place(self._block)
        y = self._seen(output, cut_args, cut_named, part)
        z = y if call.scale == 1.0 else around(part, y, call.scale)
        common = torch.promote_types(x.dtype, z.dtype)
        whole = x.to(common).index_copy(0, rows, z.to(common))
        form = form_of(output, self._block)
        return form.alone(whole, self._block, self._walk.beside(self._block, form, args, kwargs))

    def _seen(self, output: Any, args: tuple[Any, ...], kwargs: dict[str, Any], x: Tensor) -> Tensor:
        """Returns the hidden states of the block's output for x. Raises AttachError if they are not a residual update
        of x.
        """
        self._walk.seen(self._block, output, args, kwargs, x)
        y = hidden_of(output)
        check_shape(self._block, y, x)
        return y


def check_shape(block: nn.Module, y: Tensor, x: Tensor) -> None:
    """Raises AttachError for a block whose output y has another shape than x."""
    if y.shape != x.shape:
        raise AttachError(
            f"{type(block).__name__} makes {tuple(y.shape)} of {tuple(x.shape)}: a block that changes the "
            "shape is no residual block, so it cannot be skipped; name a stack of blocks that keep it with "
            "blocks='PATH'"
        )


def _in_place(block: nn.Module) -> AttachError:
    return AttachError(
        f"{type(block).__name__} writes into its input in place, so that the part that it adds and that "
        "has to be scaled cannot be found any more: write x = x + ... instead of x += ..., or choose rescale='none'"
    )


def _names(block: nn.Module, args: tuple[Any, ...]) -> list[str]:
    """Returns the names of the block's positional arguments, at least as many as `args`."""
    names = _positional(getattr(block.forward, "__func__", block.forward), hasattr(block.forward, "__self__"))
    if not names or len(names) < len(args):
        raise AttachError(
            f"{type(block).__name__}.forward does not name its positional arguments, so the hidden states "
            "among them cannot be found"
        )
    return names


@lru_cache(maxsize=256)
def _positional(forward: Callable[..., Any], bound: bool) -> list[str]:
    """Returns the names of a function's positional parameters, without `self` of a bound one."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [each.name for each in inspect.signature(forward).parameters.values() if each.kind in positional]
    return parameters[1:] if bound else parameters


def named_arguments(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Returns all arguments of a call by name. Raises AttachError if the block does not name them."""
    return {**dict(zip(_names(block, args), args, strict=False)), **kwargs}


def _hidden_name(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Returns the name of the argument with the hidden states: the first one or, if that is for instance a mask, one of
    HIDDEN.

    Raises AttachError if there is none.
    """
    names = _names(block, args)
    if names[0] in HIDDEN or not any(word in names[0] for word in _NEVER):
        return names[0]
    given = {*names[: len(args)], *kwargs}
    found = next((name for name in names if name in HIDDEN and name in given), None)
    if found is None:
        raise AttachError(
            f"{type(block).__name__}.forward takes {names[0]!r} first, and no argument is called {' | '.join(HIDDEN)}: "
            "the hidden states among its arguments cannot be found"
        )
    return found


def _hidden_argument(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    name = _hidden_name(block, args, kwargs)
    found = kwargs[name] if name in kwargs else dict(zip(_names(block, args), args, strict=False)).get(name)
    if not isinstance(found, Tensor):
        raise AttachError(f"{type(block).__name__} was called without a tensor of hidden states as {name!r}")
    return found
