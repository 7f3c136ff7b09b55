"""One block inside a step: run as it is, scaled, run for some sequences, or passed by. It stands in the block's place
while the model walks.
"""

from __future__ import annotations

import inspect
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pld_search.errors import AttachError
from pld_search.model.attach.block_outputs import Returned, form_of, hidden_of, replaced
from pld_search.model.attach.row_arguments import cut
from pld_search.model.block_calls import Call
from pld_search.model.blocks import around


class Passing(Protocol):
    """What a gate asks of the pass it belongs to (walk.py)."""

    def call(self, index: int, x: Tensor) -> Call | None: ...
    def passed_by(self, block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], x: Tensor) -> Any: ...
    def seen(self, block: nn.Module, form: Returned) -> None: ...


class Gate:
    """Callable as the block is; every other attribute is the block's own (ModernBERT reads its `attention_type`)."""

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
        output = self._block(*args, **kwargs)
        y = self._seen(output, x)
        return output if call.scale == 1.0 else replaced(output, around(x, y, call.scale))

    def _rows(
        self, call: Call, chosen: tuple[int, ...], x: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The block runs for the rows chosen, which then take their places among the others."""
        rows = torch.tensor(chosen).to(x.device, non_blocking=True)
        first, *names = _names(self._block, args)
        named = {
            **dict(zip(names, args[1:], strict=True)),
            **{name: value for name, value in kwargs.items() if name != first},
        }
        part, cut_named = x.index_select(0, rows), cut(self._block, named, rows, len(x))
        after = [cut_named.pop(name) for name in names]
        output = self._block(part, *after, **cut_named) if args else self._block(**{first: part}, **cut_named)
        y = self._seen(output, part)
        z = y if call.scale == 1.0 else around(part, y, call.scale)
        common = torch.promote_types(x.dtype, z.dtype)
        whole = x.to(common).index_copy(0, rows, z.to(common))
        return form_of(output, self._block).alone(whole, self._block)

    def _seen(self, output: Any, x: Tensor) -> Tensor:
        """The hidden states of what the block returned for x. Raises AttachError where they are no residual update of
        x.
        """
        self._walk.seen(self._block, form_of(output, self._block))
        y = hidden_of(output)
        if y.shape != x.shape:
            raise AttachError(
                f"{type(self._block).__name__} makes {tuple(y.shape)} of {tuple(x.shape)}: a block that changes the shape is no residual block, "
                "so it cannot be skipped; name the stack of those that keep it with blocks='PATH'"
            )
        return y


def _names(block: nn.Module, args: tuple[Any, ...]) -> list[str]:
    """The names of the block's positional arguments; the first is the hidden states', also where they came by name."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [
        parameter.name
        for parameter in inspect.signature(block.forward).parameters.values()
        if parameter.kind in positional
    ]
    if not names or len(names) < len(args):
        raise AttachError(
            f"{type(block).__name__}.forward does not name its positional arguments, so the hidden states among them cannot be told"
        )
    return names[: max(len(args), 1)]


def _hidden_argument(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    found = args[0] if args else kwargs.get(_names(block, args)[0])
    if not isinstance(found, Tensor):
        raise AttachError(f"{type(block).__name__} was called without a tensor of hidden states as its first argument")
    return found
