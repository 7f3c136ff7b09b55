"""The norm of the loss's gradient in each layer: the picture of Zhang & He (2020), section 3, where the gradients of a
post-norm network grow towards its top and those of a pre-norm network stay even.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from pld_search.analysis.held_out_sample import HeldOutSample
from pld_search.model.layered_model import LayeredModel


def gradient_norms(model: LayeredModel, sample: HeldOutSample) -> dict[str, list[float]]:
    """Euclidean norms of the gradient of the loss over `sample` in the parameters of every layer (`block`) and of its
    halves (`attention`, `feed_forward`, each with its norms), by layer. Full depth, in the mode the model is in.

    The gradients that the model has are thrown away.
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
