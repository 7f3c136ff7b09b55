"""Refuses wrappers around a model under which its blocks cannot be skipped, with the reason and a solution."""

from __future__ import annotations

import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from pld_search.errors import AttachError

COMPILED = (
    "the model is compiled as a whole: its graph holds the plan of one step, and each other plan would "
    "compile another one; "
    "compile each block instead: for block in STACK: block.compile()"
)
_STATIC = (
    "DDP with static_graph=True expects every step to use the same parameters, and a skipped block's are not used; "
    "build it without static_graph and with find_unused_parameters=True"
)
_UNUSED = (
    "DDP waits for the gradients of skipped blocks: build it with find_unused_parameters=True (Trainer: "
    "ddp_find_unused_parameters=True), "
    "and with skip_all_reduce_unused_params=True where your torch has it"
)
_ZERO3 = (
    "DeepSpeed's ZeRO-3 gathers the parameters of every block in the order it recorded, so that a skipped "
    "block stops it or is gathered all the same; "
    "use ZeRO-1 or 2, or FSDP2 (fully_shard on each block)"
)
_FSDP1 = (
    "FullyShardedDataParallel (FSDP1) has not been made to work with skipped blocks; use FSDP2 "
    "(torch.distributed.fsdp.fully_shard on each block)"
)

PARALLEL = (
    "nn.DataParallel copies the model to every device of one process, and no copy knows which rows of the batch are "
    "its own; use DDP, one process a device"
)


def unwrapped(model: nn.Module) -> nn.Module:
    """Returns the user's own module inside DDP. Raises AttachError for a wrapper that cannot work."""
    if isinstance(model, DistributedDataParallel):
        _check_ddp(model)
        return unwrapped(model.module)
    if isinstance(model, nn.DataParallel):
        raise AttachError(PARALLEL)
    if type(model).__name__ == "OptimizedModule" or model._compiled_call_impl is not None:
        raise AttachError(COMPILED)
    if type(model).__name__ == "FullyShardedDataParallel":
        raise AttachError(_FSDP1)
    return model


class AttachedSurroundings:
    """Checks, before a pass, the modules around the stack and the first block."""

    def __init__(self, model: nn.Module, path: str, block: nn.Module) -> None:
        parts = path.split(".")
        self._around = [model.get_submodule(".".join(parts[:depth])) for depth in range(len(parts) + 1)]
        self._block = block

    def check(self) -> None:
        """Raises AttachError for wrappers that cannot work."""
        if any(module._compiled_call_impl is not None for module in self._around):
            raise AttachError(COMPILED)
        if any(type(module).__name__ == "FullyShardedDataParallel" for module in (*self._around, self._block)):
            raise AttachError(_FSDP1)
        if any(hasattr(parameter, "ds_id") for parameter in self._block.parameters()):
            raise AttachError(_ZERO3)
        if dist.is_available() and dist.is_initialized():
            wrapper = DistributedDataParallel._get_active_ddp_module()  # type: ignore[no-untyped-call]
            if wrapper is not None:
                _check_ddp(wrapper)


def _check_ddp(wrapper: DistributedDataParallel) -> None:
    if wrapper.static_graph:
        raise AttachError(_STATIC)
    if not wrapper.find_unused_parameters:
        raise AttachError(_UNUSED)
