"""Between a tensor that ranks share (a DTensor) and plain ones: the whole of it, this rank's part of it, and back.

A plain tensor is whole on every rank, so that code for one process and for many is the same. DTensor is imported where
one is
made: one process alone need not pay for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from torch import Tensor

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


def is_shared(tensor: Tensor) -> TypeGuard[DTensor]:
    """Whether each rank holds only its part of a tensor."""
    return hasattr(tensor, "full_tensor")


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor, on every rank; a collective where ranks share it."""
    return tensor.full_tensor() if is_shared(tensor) else tensor


def own_part(tensor: Tensor) -> Tensor:
    """What this rank holds of it: the same memory."""
    return tensor.to_local() if is_shared(tensor) else tensor


def place_like(other: Tensor, plain: Tensor) -> Tensor:
    """`plain`, which every rank has whole, shared as `other` is and on its device; each rank keeps its part, nothing is
    sent.
    """
    plain = plain.to(other.device)
    if not is_shared(other):
        return plain
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(plain, other.device_mesh, other.placements, src_data_rank=None)
