"""Conversions between a tensor that ranks share (a DTensor) and plain tensors: the whole tensor, or this rank's part.

A plain tensor is whole on every rank, so that the code for one process and for several is the same. DTensor is imported
where one is made: a single process does not need the import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from torch import Tensor

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


def is_shared(tensor: Tensor) -> TypeGuard[DTensor]:
    """Returns whether each rank holds only its part of a tensor."""
    return hasattr(tensor, "full_tensor")


def whole(tensor: Tensor) -> Tensor:
    """Returns the whole tensor on every rank; a collective if ranks share it."""
    return tensor.full_tensor() if is_shared(tensor) else tensor


def own_part(tensor: Tensor) -> Tensor:
    """Returns this rank's part of a tensor: the same memory."""
    return tensor.to_local() if is_shared(tensor) else tensor


def place_like(other: Tensor, plain: Tensor) -> Tensor:
    """Returns `plain`, which every rank has whole, shared like `other` and on its device. Each rank keeps its part,
    nothing is sent.
    """
    plain = plain.to(other.device)
    if not is_shared(other):
        return plain
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(plain, other.device_mesh, other.placements, src_data_rank=None)
