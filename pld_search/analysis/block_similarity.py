"""How much a layer changes its input (Zhang & He, 2020, figure 4), and whether neighbouring layers add the same.

A layer whose output is close to its input refines an estimate: "unrolled iterations" (Greff et al., "Highway and
Residual Networks learn Unrolled Iterative Estimation", ICLR 2017). Shapes: B sequences, L positions, H hidden width.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pld_search.analysis.held_out_sample import HeldOutSample
from pld_search.model.layered_model import LayeredModel


@dataclass(slots=True)
class Similarity:
    """Means over the positions of all sequences, by layer from the lowest; `updates` is between a layer and the
    next.
    """

    distance: list[float] = field(default_factory=list)
    cosine: list[float] = field(default_factory=list)
    updates: list[float] = field(default_factory=list)


@torch.no_grad()
def block_similarity(model: LayeredModel, sample: HeldOutSample) -> Similarity:
    """Measures L2 distance and cosine between each layer's input and output, and the cosine between the updates of
    neighbouring layers.

    Positions outside the attention mask of a sequence do not count.
    """
    sums: list[Tensor] = []
    positions = 0.0
    for part, counts in zip(sample.parts, sample.counts, strict=True):
        with _watched(model) as seen:
            sample.objective.held_out_sums(model, part.tensors, counts)
        mask = part.tensors.get("attention_mask")
        weight = torch.ones_like(part.input_ids, dtype=torch.float64) if mask is None else mask.double()
        sums.append(_sums(seen, weight))
        positions += float(weight.sum())
    layers = len(model.blocks)
    means = (torch.stack(sums).sum(0) / positions).tolist()
    return Similarity(means[:layers], means[layers : 2 * layers], means[2 * layers :])


@contextmanager
def _watched(model: LayeredModel) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Collects (input, output) of every layer in the list while the context lasts."""
    seen: list[tuple[Tensor, Tensor]] = []

    def see(_block: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        seen.append((inputs[0].float(), output.float()))

    hooks = [block.register_forward_hook(see) for block in model.blocks]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _sums(seen: list[tuple[Tensor, Tensor]], weight_BL: Tensor) -> Tensor:
    """Returns sums over positions: distances, cosines, and cosines of neighbouring updates; float64 (3 layers - 1,)."""
    added = [after - before for before, after in seen]
    of_positions = [update.norm(dim=-1) for update in added]
    of_positions += [F.cosine_similarity(before, after, dim=-1) for before, after in seen]
    of_positions += [F.cosine_similarity(one, other, dim=-1) for one, other in pairwise(added)]
    return torch.stack([(values_BL.double() * weight_BL).sum() for values_BL in of_positions])
