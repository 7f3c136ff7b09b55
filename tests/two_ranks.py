"""A rank of `test_two_ranks.py`: python -m tests.two_ranks OUT FOLDER. Rank and ports come in the environment, as
torchrun gives them.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from pld_search.errors import AttachError
from pld_search.hf import LayerDrop
from pld_search.model.attach.layer_drop import attach
from tests.trainer import BATCH, SCHEDULE, STEPS, Sequences, losses, tiny_bert, trainer


def ranks() -> int:
    """1 in the process of the tests, which has no group."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def by_trainer(folder: Path, **changes: Any) -> dict[str, Any]:
    size = BATCH // ranks()
    done = trainer(
        folder, LayerDrop(SCHEDULE), per_device_train_batch_size=size, save_strategy="steps", save_steps=3, **changes
    )
    done.train()
    again = trainer(folder, LayerDrop(SCHEDULE), per_device_train_batch_size=size, **changes)
    again.train(resume_from_checkpoint=str(folder / "checkpoint-3"))
    return {"straight": losses(done), "resumed": losses(again)}


def refused(run: Any) -> str:
    try:
        run()
    except AttachError as error:
        return str(error)
    return "not refused"


def other_seed(folder: Path) -> str:
    return refused(trainer(folder, LayerDrop(SCHEDULE, seed=dist.get_rank()), per_device_train_batch_size=2).train)


def plain_loop(model: nn.Module, first_step: int = 0, last: int = STEPS) -> list[float]:
    """Steps of a global batch of BATCH sequences, each rank its own slice; the losses are means over ranks."""
    drop = attach(model, SCHEDULE, steps=STEPS, seed=3, first_step=first_step)
    optimizer, data, found = torch.optim.AdamW(model.parameters(), lr=1e-3), Sequences(), []
    own = BATCH // ranks()
    for step in range(first_step, last):
        first = step * BATCH + rank() * own
        batch = {
            key: torch.stack([data[index][key] for index in range(first, first + own)])
            for key in ("input_ids", "labels")
        }
        with drop.step(step):
            loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        mean = loss.detach()
        if ranks() > 1:
            dist.all_reduce(mean)
        found.append(float(mean) / ranks())
    drop.detach()
    return found


def sharded() -> nn.Module:
    model, mesh = tiny_bert().train(), init_device_mesh("cpu", (ranks(),))
    for block in model.bert.encoder.layer:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def replicated(skip: bool = True) -> DistributedDataParallel:
    """With `skip`, and where this torch can, what no rank has used is not reduced."""
    can = "skip_all_reduce_unused_params" in inspect.signature(DistributedDataParallel).parameters
    more = {"skip_all_reduce_unused_params": True} if skip and can else {}
    return DistributedDataParallel(tiny_bert().train(), find_unused_parameters=True, **more)


def accumulated(skip: bool) -> float:
    """Two groups a step with their own plans, the first without synchronisation: how far apart the ranks' parameters
    end.
    """
    model = replicated(skip)
    drop, data = attach(model, SCHEDULE, steps=STEPS, seed=3, groups=2), Sequences()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    for step in range(STEPS):
        for group in (0, 1):
            ids = data[step * BATCH + 2 * group + dist.get_rank()]["input_ids"][None]
            with model.no_sync() if group == 0 else nullcontext():
                with drop.step(step, group):
                    loss = model(input_ids=ids, labels=ids).loss
                loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    flat = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    first = flat.clone()
    dist.broadcast(first, 0)
    return float((flat - first).abs().max())


def main(out: Path, folder: Path) -> None:
    dist.init_process_group("gloo")
    found = {
        "trainer": by_trainer(folder / "trainer"),
        "other seed": other_seed(folder / "seed"),
        "fsdp2": plain_loop(sharded()),
        "ddp": plain_loop(replicated()),
        "accumulated": [accumulated(skip) for skip in (False, True)],
        "static": refused(
            lambda: plain_loop(
                DistributedDataParallel(tiny_bert().train(), find_unused_parameters=True, static_graph=True)
            )
        ),
        "unused": refused(lambda: plain_loop(DistributedDataParallel(tiny_bert().train()))),
        "late": refused(
            lambda: attach(tiny_bert().train(), SCHEDULE, steps=STEPS, first_step=dist.get_rank()).open(
                1 + dist.get_rank()
            )
        ),
    }
    out.with_suffix(f".{dist.get_rank()}").write_text(json.dumps(found))
    dist.barrier()
    # what was refused on purpose left reducers half way; torch sometimes aborts when it takes such a group down
    os._exit(0)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
