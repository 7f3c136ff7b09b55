"""Selects a block's arguments for some sequences of the batch, if it is certain which arguments have rows of
sequences.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from pld_search.errors import AttachError

PER_ROW = frozenset(
    {
        "attention_mask",
        "encoder_hidden_states",
        "encoder_attention_mask",
        "position_ids",
        "position_embeddings",
        "head_mask",
        "cross_attn_head_mask",
    }
    | {"query_states", "relative_pos", "src_key_padding_mask"}
)
"""Arguments whose first dimension is the batch, or 1 if all sequences share them."""
SHARED = frozenset({"rel_embeddings", "src_mask"})
"""Arguments without a batch dimension."""
_PLAIN = (bool, int, float, str, type(None))


def cut(block: nn.Module, arguments: Mapping[str, Any], rows: Tensor, batch: int) -> dict[str, Any]:
    """Returns `arguments` (by name, without the hidden states) for the sequences `rows` of `batch`. Raises AttachError
    for an argument that cannot be selected.
    """
    return {name: _cut(block, name, value, rows, batch) for name, value in arguments.items()}


def _cut(block: nn.Module, name: str, value: Any, rows: Tensor, batch: int) -> Any:
    if isinstance(value, _PLAIN) or name in SHARED:
        return value
    if isinstance(value, Tensor):
        return _cut_tensor(block, name, value, rows, batch)
    if type(value) in (tuple, list):
        return type(value)(_cut(block, name, part, rows, batch) for part in value)
    if name in ("past_key_values", "past_key_value", "layer_past"):
        raise _refused(block, name, "is a cache, which would hold keys of some sequences only; pass use_cache=False")
    raise _refused(block, name, f"is a {type(value).__name__}, whose sequences cannot be cut")


def _cut_tensor(block: nn.Module, name: str, value: Tensor, rows: Tensor, batch: int) -> Tensor:
    if value.ndim == 0 or value.shape[0] == 1:
        return value
    if name in PER_ROW and value.shape[0] == batch:
        return value.index_select(0, rows)
    raise _refused(
        block,
        name,
        f"is a tensor of shape {tuple(value.shape)} in a batch of {batch}, and which of it belongs to a "
        "sequence is not known",
    )


def _refused(block: nn.Module, name: str, why: str) -> AttachError:
    return AttachError(
        f"`draw.per: sequence` runs {type(block).__name__} on some sequences only, but its argument {name!r} "
        f"{why}; `per: group` needs no cut"
    )
