"""What a block returns beside its hidden states, and what a skipped one puts in its place.

Three kinds are known. A value that the block was given and hands on (T5's position bias): a skipped block hands on what
it was given. Attention weights that nobody asked for (Bloom returns them always): None. Any other value cannot be made
up, and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from pld_search.errors import AttachError
from pld_search.model.attach.block_outputs import Returned

_ASKED = "output_attentions"


class Beside:
    """What is known of one class of blocks: `handed_on` names the argument that comes back at a place."""

    def __init__(self) -> None:
        self.handed_on: dict[Any, str] = {}
        self.attentions: set[Any] = set()

    def learn(self, output: Any, form: Returned, named: Mapping[str, Any], hidden: Tensor) -> None:
        """Look at what a block returned for its arguments, by name."""
        for place in form.filled:
            value = output[place]
            name = next((name for name, given in named.items() if given is value), None)
            if name is not None:
                self.handed_on[place] = name
            elif _are_attentions(value, hidden) and named.get(_ASKED, True) in (False, None):
                self.attentions.add(place)

    def knows(self, form: Returned) -> bool:
        """Whether every place of the form that held a value is understood."""
        return all(place in self.handed_on or place in self.attentions for place in form.filled)

    def of_skipped(self, form: Returned, named: Mapping[str, Any], block: nn.Module) -> dict[Any, Any]:
        """The values of a block that is passed by. Raises AttachError where it would be the one that makes them."""
        values: dict[Any, Any] = dict.fromkeys(self.attentions)
        for place in form.filled:
            name = self.handed_on.get(place)
            if name is None:
                continue
            if named.get(name) is None:
                raise AttachError(
                    f"{type(block).__name__} makes {name!r} for the blocks after it, so the one that does "
                    f"cannot be skipped: {KEEP_FIRST}"
                )
            values[place] = named[name]
        return values


KEEP_FIRST = "keep the first block, `depth: {..., always: [first]}` or `index: (l-1)/(L-1)`"


def _are_attentions(value: Any, hidden: Tensor) -> bool:
    """(batch, heads, queries, keys), as far as a shape can say it."""
    return isinstance(value, Tensor) and value.ndim == 4 and value.shape[0] == hidden.shape[0]


def makes_for_others(blocks: list[nn.Module]) -> str | None:
    """The name of the part with which the first block alone makes what all blocks use (T5's relative bias), or None."""
    flags = [
        {
            name
            for name, module in block.named_modules()
            if getattr(module, "has_relative_attention_bias", False) is True
        }
        for block in blocks
    ]
    return next(iter(sorted(flags[0])), None) if flags[0] and not any(flags[1:]) else None
