"""An optimizer's state by the names of parameters, so that any number of ranks in any mode can take up what any other
has left.

One process keeps its optimizer's own `state_dict` in `training.pt`. Ranks write a folder of safetensors files, one a
rank, through torch.distributed.checkpoint: each holds the rank's part, the names in them tell which parameters were
ever updated.
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
from pld_search.training.parallel.ranks import Ranks
from pld_search.training.parallel.shared_tensors import place_like

FOLDER = "optimizer"
Named = Mapping[str, nn.Parameter]


@contextmanager
def written_beside(
    root: Path, step: int, optimizer: torch.optim.Optimizer, parameters: Named, ranks: Ranks
) -> Iterator[Path]:
    """A folder in `root`, where no checkpoint is looked for, into which every rank has written its part; the caller
    moves it.

    A collective. Raises CheckpointError on every rank where one cannot write. What is not moved goes.
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
def _in_own_words() -> Iterator[None]:
    """What went wrong on any rank, as the RuntimeError of its first line: torch gives a BaseException that holds those
    of the ranks.
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
    with _in_own_words():
        save(state, storage_writer=HuggingFaceStorageWriter(str(folder), save_distributed=True), process_group=group)


def read(folder: Path, optimizer: torch.optim.Optimizer, parameters: Named, group: dist.ProcessGroup | None) -> None:
    """Give the optimizer what ranks have written, whoever did; a collective where there is a group."""
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.state_dict_loader import load

    found = HuggingFaceStorageReader(str(folder)).read_metadata().state_dict_metadata
    state = {name: _place_for(name, parameters) for name in sorted(found)}
    with warnings.catch_warnings(), _in_own_words():
        # it is: one process takes up what several have left
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
    """Give the optimizer the `state_dict` of one process that had the same parameters in the same order."""
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
    """Give the optimizer these moments and no others: by name, whole on every rank."""
    optimizer.state.clear()
    for name, held in whole.items():
        own = parameters[name]
        optimizer.state[own] = {
            kind: tensor.to(own.device) if kind == "step" else place_like(own, tensor) for kind, tensor in held.items()
        }
