"""The forms of a block's output: hidden states alone, or first among others. A skipped block returns the same form."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

import torch
from torch import Tensor, nn

from pld_search.errors import AttachError


@dataclass(frozen=True, slots=True)
class Returned:
    """`kind`: the class of the output. `names`: its keys or indices after the hidden states; `filled`: the names that
    held a value.
    """

    kind: Any
    first: Any = None
    names: tuple[Any, ...] = ()
    filled: tuple[Any, ...] = ()

    def alone(self, hidden: Tensor, block: nn.Module, beside: Mapping[Any, Any] | None = None) -> Any:
        """Returns the form around hidden states; every other place holds its value in `beside`, else None. Raises
        AttachError if blocks put a value at a place that `beside` lacks.
        """
        given = beside or {}
        missing = [place for place in self.filled if place not in given]
        if missing:
            raise AttachError(
                f"{type(block).__name__} returns more than hidden states (a value at {missing[0]!r}), and a "
                "skipped block has nothing to put there; "
                "where it is an output you asked for, ask for it outside `step`"
            )
        if self.kind is Tensor:
            return hidden
        rest = {place: given.get(place) for place in self.names}
        if issubclass(self.kind, Mapping):
            return self.kind(**{self.first: hidden}, **rest)
        return self.kind([hidden, *rest.values()])


def form_of(output: Any, block: nn.Module) -> Returned:
    """Returns the form of an output. Raises AttachError if its hidden states cannot be identified."""
    if isinstance(output, Tensor):
        return Returned(Tensor)
    if type(output) in (tuple, list) and output and isinstance(output[0], Tensor):
        names = tuple(range(1, len(output)))
        return Returned(type(output), 0, names, tuple(name for name in names if output[name] is not None))
    if isinstance(output, Mapping) and output and isinstance(next(iter(output.values())), Tensor):
        first, *rest = output
        return Returned(type(output), first, tuple(rest), tuple(name for name in rest if output[name] is not None))
    raise AttachError(
        f"{type(block).__name__} returns a {type(output).__name__}: its hidden states cannot be found; a "
        "tensor, a tuple or a mapping begins with them"
    )


def hidden_of(output: Any) -> Tensor:
    """Returns the hidden states of an output that `form_of` accepts."""
    if isinstance(output, Tensor):
        return output
    first: Tensor = next(iter(output.values())) if isinstance(output, Mapping) else output[0]
    return first


def replaced(output: Any, hidden: Tensor) -> Any:
    """Returns the same output with other hidden states; everything else stays unchanged."""
    if isinstance(output, Tensor):
        return hidden
    if isinstance(output, Mapping):
        return type(output)(**{**output, next(iter(output)): hidden})
    return type(output)([hidden, *output[1:]])


def annotated_form(block: nn.Module) -> Returned | None:
    """Returns the form in the annotation of the block's `forward`: a tensor, or a tuple of a tensor and values that may
    be None. Returns None for other annotations.
    """
    try:
        found = get_type_hints(type(block).forward).get("return")
    except (NameError, TypeError):
        return None
    if found is Tensor:
        return Returned(Tensor)
    parts = get_args(found) if get_origin(found) is tuple else ()
    if len(parts) >= 2 and parts[0] is Tensor and all(_may_be_none(part) for part in parts[1:]):
        return Returned(tuple, 0, tuple(range(1, len(parts))))
    return None


def _may_be_none(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType) and type(None) in get_args(annotation)


def run_aside(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], hidden: Tensor) -> Any:
    """Returns the output of one run of the block, without gradients and without changing the random state."""
    devices = [hidden.device] if hidden.device.type == "cuda" else []
    with torch.no_grad(), torch.random.fork_rng(devices):
        return block(*args, **kwargs)
