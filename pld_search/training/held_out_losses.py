"""The losses on held-out sequences: full depth, no dropout, constant masks. The ranks take turns with the chunks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pld_search.data.held_out_documents import Blocks, summed
from pld_search.model.layered_model import LayeredModel
from pld_search.pretraining.batch_tensors import Examples
from pld_search.pretraining.objective import HeldOutPart
from pld_search.training.parallel.rank_group import Ranks
from pld_search.training.parallel.sharding import settle
from pld_search.training.precision import Numerics
from pld_search.training.setup import Setup

Chunk = TypeVar("Chunk")


@dataclass(frozen=True, slots=True)
class FinalLosses:
    """The metrics of a split at the end of a run, and its losses by blocks of `documents` documents: `sums` in nats
    and `counts` of predictions, (blocks,) each; 0 documents if the objective does not group losses by document.
    """

    metrics: dict[str, float]
    documents: int
    sums: NDArray[np.float64]
    counts: NDArray[np.float64]


@torch.no_grad()
def held_out_metrics(setup: Setup, model: LayeredModel, numerics: Numerics, split: str) -> dict[str, float]:
    """Returns the objective's metrics over the held-out sequences of `validation` or `test`, including `loss`, the same
    on every rank; they may be infinite or NaN.
    """
    training = model.training
    model.eval()
    total: Tensor | None = None
    for examples, counted in turns(setup.held_out(split), setup.ranks):
        if (sums := _sums(setup, model, numerics, examples, counted)) is not None:
            total = sums if total is None else total + sums
    settle(model)
    model.train(training)
    return _metrics(setup, total)


@torch.no_grad()
def final_losses(setup: Setup, model: LayeredModel, numerics: Numerics, split: str, sequences: int) -> FinalLosses:
    """Returns the objective's metrics over at most `sequences` held-out sequences, and the losses by documents if the
    objective groups them so; the same on every rank.
    """
    objective = setup.objective
    blocks = objective.documents(setup.corpus, setup.experiment.data, split, sequences)
    kept = np.zeros((len(objective.part_weights), 2, blocks.blocks if blocks is not None else 0))
    training = model.training
    model.eval()
    total: Tensor | None = None
    chunks = _numbered(setup.held_out(split, sequences))
    for (first, examples), counted in turns(chunks, setup.ranks):
        if blocks is None:
            sums = _sums(setup, model, numerics, examples, counted)
        else:
            sums, found = _by_document(setup, model, numerics, examples, first, blocks)
            sums, found = (sums, found) if counted else (torch.zeros_like(sums), np.zeros_like(found))
            kept += found
        if sums is not None:
            total = sums if total is None else total + sums
    settle(model)
    model.train(training)
    if blocks is None:
        return FinalLosses(_metrics(setup, total), 0, kept[0, 0], kept[0, 1])
    kept = setup.ranks.total(torch.from_numpy(kept).to(setup.device)).cpu().numpy()
    return FinalLosses(_metrics(setup, total), blocks.documents, *combined(kept, objective.part_weights))


def combined(parts: NDArray[np.float64], weights: tuple[float, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns sums and counts by block, (B,) each, whose totals have the loss of the whole objective as their ratio.

    `parts` (P, 2, B) are the sums and counts of each term. The counts are those of the first term; the other terms are
    scaled by the ratio of the totals, as if each block had the same share of every count. NaN if a term has no target.
    """
    counts = parts[:, 1]
    totals = counts.sum(1)
    if not totals.all():
        return np.full_like(counts[0], np.nan), counts[0]
    scaled = (weight * (totals[0] / total) for weight, total in zip(weights, totals, strict=True))
    return sum(scale * part[0] for scale, part in zip(scaled, parts, strict=True)), counts[0]


def _numbered(chunks: Iterator[Examples]) -> Iterator[tuple[int, Examples]]:
    """Yields each chunk with the number of its first sequence."""
    first = 0
    for chunk in chunks:
        yield first, chunk
        first += len(chunk)


def _sums(setup: Setup, model: LayeredModel, numerics: Numerics, examples: Examples, counted: bool) -> Tensor | None:
    counts = examples.counts
    if not any(counts) and setup.ranks.mesh is None:
        return None
    with numerics.autocast():
        sums = setup.objective.held_out_sums(model, _tensors(setup, examples), counts)
    return sums if any(counts) and counted else torch.zeros_like(sums)


def _by_document(
    setup: Setup, model: LayeredModel, numerics: Numerics, examples: Examples, first: int, blocks: Blocks
) -> tuple[Tensor, NDArray[np.float64]]:
    with numerics.autocast():
        sums, parts = setup.objective.held_out_parts(model, _tensors(setup, examples), examples.counts)
    return sums, np.stack([_of_part(part, first, blocks) for part in parts])


def _of_part(part: HeldOutPart, first: int, blocks: Blocks) -> NDArray[np.float64]:
    positions = part.positions.cpu().numpy()
    return summed(blocks, part.nats.double().cpu().numpy(), positions >= 0, blocks.at(first, positions))


def _tensors(setup: Setup, examples: Examples) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array).to(setup.device) for name, array in examples.arrays.items()}


def _metrics(setup: Setup, total: Tensor | None) -> dict[str, float]:
    if total is None:
        return {"loss": math.nan}
    return setup.objective.held_out_metrics(setup.ranks.total(total).tolist())


def held_out_loss(setup: Setup, model: LayeredModel, numerics: Numerics, split: str) -> float:
    """Returns the loss of the whole objective in nats over the held-out sequences; see `held_out_metrics`."""
    return held_out_metrics(setup, model, numerics, split)["loss"]


def turns(chunks: Iterator[Chunk], ranks: Ranks) -> Iterator[tuple[Chunk, bool]]:
    """Yields the chunks of this rank, and whether each counts: chunk i belongs to rank i mod world.

    If the last round has too few chunks, the other ranks run one that does not count, since all ranks must run the
    layers of a sharded model together.
    """
    while batch := list(islice(chunks, ranks.world)):
        own = ranks.rank < len(batch)
        yield batch[ranks.rank if own else 0], own
