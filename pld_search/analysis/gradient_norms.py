"""The norm of the loss's gradient in each layer, as in section 3 of Zhang & He (2020): in a post-norm network the
gradients grow towards the top, in a pre-norm network they stay even.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from pld_search.analysis.held_out_sample import HeldOutSample
from pld_search.model.layered_model import LayeredModel


def gradient_norms(model: LayeredModel, sample: HeldOutSample) -> dict[str, list[float]]:
    """Returns Euclidean norms of the gradient of the loss over `sample`, by layer: in the parameters of every layer
    (`block`) and of its halves (`attention`, `feed_forward`, each with its norms). It runs at full depth, in the
    model's current mode.

    The model's existing gradients are discarded.
    """
    model.zero_grad(set_to_none=True)
    for part in sample.parts:
        sample.objective.loss(model, part, None).backward()  # type: ignore[no-untyped-call]  # torch's own
    found = {
        "block": [_norm(block.parameters()) for block in model.blocks],
        **{half: [_norm(parts[half]) for parts in model.halves] for half in ("attention", "feed_forward")},
    }
    model.zero_grad(set_to_none=True)
    return found


def _norm(parameters: Iterable[nn.Parameter]) -> float:
    squares = [parameter.grad.double().pow(2).sum() for parameter in parameters if parameter.grad is not None]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0
