"""An optimizer's state by parameter name, so that any number of ranks in any mode can load the state that other ranks
saved.

One process keeps its optimizer's own `state_dict` in `training.pt`. Several ranks write a folder of safetensors files
with torch.distributed.checkpoint, one file per rank. Each file holds the rank's part, and the names in the files show
which parameters were ever updated.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from pld_search.errors import CheckpointError
from pld_search.training.checkpoint import PARTIAL
from pld_search.training.parallel.rank_group import Ranks
from pld_search.training.parallel.shared_tensors import place_like

FOLDER = "optimizer"
Named = Mapping[str, nn.Parameter]


@contextmanager
def written_beside(
    root: Path, step: int, optimizer: torch.optim.Optimizer, parameters: Named, ranks: Ranks
) -> Iterator[Path]:
    """Yields a folder in `root` into which every rank has written its part; the caller moves it. No checkpoint is
    searched for in this folder.

    A collective. Raises CheckpointError on every rank if one rank cannot write. A folder that was not moved is deleted.
    """
    folder = root / f"{PARTIAL}ranks-{step:08d}"
    try:
        ranks.first_does(lambda: _empty(folder))
        _write(folder, optimizer, parameters, ranks.group)
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise ranks.one_voice(
            CheckpointError(f"checkpoint of step {step} could not be written to {root}: {_first_line(error)}")
        ) from error
    try:
        yield folder
    finally:
        if ranks.first:
            shutil.rmtree(folder, ignore_errors=True)


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextmanager
def _as_one_line() -> Iterator[None]:
    """Turns a failure of any rank into a RuntimeError with its first line; torch raises a BaseException that holds the
    errors of the ranks.
    """
    from torch.distributed.checkpoint.api import CheckpointException

    try:
        yield
    except CheckpointException as error:
        rank, (cause, _) = min(error.failures.items())
        raise RuntimeError(f"rank {rank}: {_first_line(cause)}") from error


def _write(folder: Path, optimizer: torch.optim.Optimizer, parameters: Named, group: dist.ProcessGroup | None) -> None:
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    state = {
        f"{name}.{kind}": optimizer.state[parameter][kind]
        for name, parameter in parameters.items()
        if parameter in optimizer.state
        for kind in optimizer.state[parameter]
    }
    with _as_one_line():
        save(state, storage_writer=HuggingFaceStorageWriter(str(folder), save_distributed=True), process_group=group)


def read(folder: Path, optimizer: torch.optim.Optimizer, parameters: Named, group: dist.ProcessGroup | None) -> None:
    """Loads the state that any number of ranks have written into the optimizer; a collective if there is a group."""
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.state_dict_loader import load

    found = HuggingFaceStorageReader(str(folder)).read_metadata().state_dict_metadata
    state = {name: _place_for(name, parameters) for name in sorted(found)}
    with warnings.catch_warnings(), _as_one_line():
        # intended: one process loads the state of several
        warnings.filterwarnings("ignore", "torch.distributed is disabled")
        load(state, storage_reader=HuggingFaceStorageReader(str(folder)), process_group=group, no_dist=group is None)
    optimizer.state.clear()
    for key, tensor in state.items():
        name, _, kind = key.rpartition(".")
        optimizer.state[parameters[name]][kind] = tensor


def _place_for(key: str, parameters: Named) -> Tensor:
    name, _, kind = key.rpartition(".")
    parameter = parameters[name]
    return (
        torch.zeros((), device=parameter.device) if kind == "step" else torch.zeros_like(parameter, requires_grad=False)
    )


def take_over(optimizer: torch.optim.Optimizer, parameters: Named, saved: Mapping[str, Any]) -> None:
    """Loads the `state_dict` of one process that had the same parameters in the same order into the optimizer."""
    names = {parameter: name for name, parameter in parameters.items()}
    ordered = [names[parameter] for group in optimizer.param_groups for parameter in group["params"]]
    numbers = [number for group in saved["param_groups"] for number in group["params"]]
    state = saved["state"]
    give(
        optimizer,
        parameters,
        {name: state[number] for number, name in zip(numbers, ordered, strict=True) if number in state},
    )


def give(optimizer: torch.optim.Optimizer, parameters: Named, whole: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Replaces the optimizer's moments by the given ones: by name, whole on every rank."""
    optimizer.state.clear()
    for name, held in whole.items():
        own = parameters[name]
        optimizer.state[own] = {
            kind: tensor.to(own.device) if kind == "step" else place_like(own, tensor) for kind, tensor in held.items()
        }
