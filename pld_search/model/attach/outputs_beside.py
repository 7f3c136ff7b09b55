"""The values that a block returns beside its hidden states, and the values that a skipped block returns instead.

Three kinds are handled. If the block only passes on a value that it was given (T5's position bias), a skipped block
passes it on too. Attention weights that were not requested (Bloom always returns them) become None. Any other value
cannot be replaced and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from pld_search.errors import AttachError
from pld_search.model.attach.block_outputs import Returned

_ASKED = "output_attentions"


class Beside:
    """The known outputs of one class of blocks: `handed_on` maps a place to the argument that is passed on there."""

    def __init__(self) -> None:
        self.handed_on: dict[Any, str] = {}
        self.attentions: set[Any] = set()

    def learn(self, output: Any, form: Returned, named: Mapping[str, Any], hidden: Tensor) -> None:
        """Learns from a block's output and its arguments, given by name."""
        for place in form.filled:
            value = output[place]
            name = next((name for name, given in named.items() if given is value), None)
            if name is not None:
                self.handed_on[place] = name
            elif _are_attentions(value, hidden) and named.get(_ASKED, True) in (False, None):
                self.attentions.add(place)

    def knows(self, form: Returned) -> bool:
        """Whether every filled place of the form is understood."""
        return all(place in self.handed_on or place in self.attentions for place in form.filled)

    def of_skipped(self, form: Returned, named: Mapping[str, Any], block: nn.Module) -> dict[Any, Any]:
        """Returns the values of a skipped block. Raises AttachError if the block would be the one to create them."""
        values: dict[Any, Any] = dict.fromkeys(self.attentions)
        for place in form.filled:
            name = self.handed_on.get(place)
            if name is None:
                continue
            if named.get(name) is None:
                raise AttachError(
                    f"{type(block).__name__} makes {name!r} for the blocks after it, so it cannot be "
                    f"skipped: {KEEP_FIRST}"
                )
            values[place] = named[name]
        return values


KEEP_FIRST = "keep the first block, `depth: {..., always: [first]}` or `index: (l-1)/(L-1)`"


def _are_attentions(value: Any, hidden: Tensor) -> bool:
    """Whether the value has the shape of attentions: (batch, heads, queries, keys)."""
    return isinstance(value, Tensor) and value.ndim == 4 and value.shape[0] == hidden.shape[0]


def makes_for_others(blocks: list[nn.Module]) -> str | None:
    """Returns the name of the part with which only the first block creates a value for all blocks (T5's relative bias),
    or None.
    """
    flags = [
        {
            name
            for name, module in block.named_modules()
            if getattr(module, "has_relative_attention_bias", False) is True
        }
        for block in blocks
    ]
    return next(iter(sorted(flags[0])), None) if flags[0] and not any(flags[1:]) else None
