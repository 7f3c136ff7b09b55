"""A model shared by ranks: every block is a unit, and the rest (embeddings, last norm, head) is one more unit.

`shard` is FSDP2's `fully_shard`: a rank holds its part of every weight, gradient and moment, and a unit's weights are
gathered when it runs. `replicate` uses the same mechanism with whole weights on every rank; only gradients are sent. A
unit that is not called takes part in no collective, forward or backward, so dropped layers also save communication;
their gradients stay None. All ranks must therefore call the same units: see consistency.py.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

from torch import nn

from pld_search.model.layered_model import LayeredModel
from pld_search.specs.execution import Mode
from pld_search.training.parallel.rank_group import Ranks


def share(model: LayeredModel, mode: Mode, ranks: Ranks) -> LayeredModel:
    """Turns `model`, whole and equal on every rank, into a model that the ranks share; does nothing for one process.

    Gradients become sums over ranks: each rank's loss is its share of the global batch's loss.
    """
    if ranks.mesh is None:
        return model
    # the warning is about the logits without padded rows; nothing changes them in place
    warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view")
    unit = _unit_of(mode)
    for block in model.blocks:
        unit(block, mesh=ranks.mesh)
    unit(model, mesh=ranks.mesh)
    for part in units(model):
        part.set_gradient_divide_factor(1.0)
        part.set_force_sum_reduction_for_comms(True)  # gloo has no sum that also multiplies
    return model


def _unit_of(mode: Mode) -> Callable[..., Any]:
    """Returns torch's function that makes a module a unit. The import is here because it takes seconds, and one process
    does not need it.
    """
    if mode == "shard":
        from torch.distributed.fsdp import fully_shard

        return fully_shard
    # the module in torch 2.11 .. 2.13; not public yet
    from torch.distributed._composable.replicate_with_fsdp import replicate

    return replicate


def units(model: nn.Module) -> Iterable[Any]:
    """Returns the units of a shared model, the root first; none in a model of one process."""
    return (module for module in model.modules() if hasattr(module, "set_requires_gradient_sync"))


def gather_gradients(model: nn.Module, now: bool) -> None:
    """Sets whether the next backward pass sums the gradients over ranks, or keeps them until a later pass that does."""
    for unit in units(model):
        unit.set_requires_gradient_sync(now, recurse=False)


def settle(model: nn.Module) -> None:
    """Restores the shared parameters after forward passes without a backward pass; the next forward gathers again."""
    for unit in units(model):
        unit.reshard()
