"""The losses on held-out sequences: full depth, dropout off, constant masks. Ranks take the chunks in turns."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from pld_search.model.layered_model import LayeredModel
from pld_search.pretraining.batch_tensors import Examples
from pld_search.training.parallel.ranks import Ranks
from pld_search.training.parallel.sharding import settle
from pld_search.training.precision import Numerics
from pld_search.training.setup import Setup


@torch.no_grad()
def held_out_metrics(setup: Setup, model: LayeredModel, numerics: Numerics, split: str) -> dict[str, float]:
    """The objective's metrics over the held-out sequences of `validation` or `test`, `loss` among them, the same on
    every rank; they may be infinite or NaN.
    """
    training, objective = model.training, setup.objective
    model.eval()
    total: Tensor | None = None
    for examples, counted in turns(setup.held_out(split), setup.ranks):
        counts = examples.counts
        if not any(counts) and setup.ranks.mesh is None:
            continue
        tensors = {name: torch.from_numpy(array).to(setup.device) for name, array in examples.arrays.items()}
        with numerics.autocast():
            sums = objective.held_out_sums(model, tensors, counts)
        sums = sums if any(counts) and counted else torch.zeros_like(sums)
        total = sums if total is None else total + sums
    settle(model)
    model.train(training)
    return {"loss": math.nan} if total is None else objective.held_out_metrics(setup.ranks.total(total).tolist())


def held_out_loss(setup: Setup, model: LayeredModel, numerics: Numerics, split: str) -> float:
    """The loss of the whole objective in nats over the held-out sequences; see `held_out_metrics`."""
    return held_out_metrics(setup, model, numerics, split)["loss"]


def turns(chunks: Iterator[Examples], ranks: Ranks) -> Iterator[tuple[Examples, bool]]:
    """The chunks of this rank, and whether each counts: chunk i is rank i mod world's.

    Where the last round has too few, the others run one that does not count: the layers of a sharded model are run
    together.
    """
    while batch := list(islice(chunks, ranks.world)):
        own = ranks.rank < len(batch)
        yield batch[ranks.rank if own else 0], own
