"""Subnetworks with fewer layers of a trained network: the other use of LayerDrop (Fan et al., 2019, "Reducing
Transformer Depth on Demand with Structured Dropout").
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from pld_search.model.layered_model import LayeredModel


def evenly_kept(layers: int, keep: int) -> tuple[int, ...]:
    """Returns the layers (1 .. layers) that stay when `keep` of them, 1 .. layers, are kept.

    The rule is the paper's "every other". At a pruning rate r the layers d = 0 (mod floor(1/r)), counted from 1, are
    removed: every other layer for half the depth, and 4, 8, 12 for 9 of 12. If the rule cannot reach a number (7 of
    12), the D removed layers, j = 1 .. D, are floor(j layers / D + 1/2), as evenly spaced as whole numbers allow. If D
    divides `layers`, this equals the paper's rule.

    >>> evenly_kept(12, 9)
    (1, 2, 3, 5, 6, 7, 9, 10, 11)
    """
    if not 1 <= keep <= layers:
        raise ValueError(f"{keep} of {layers} layers")
    gone = layers - keep
    dropped = {(2 * number * layers + gone) // (2 * gone) for number in range(1, gone + 1)}
    return tuple(layer for layer in range(1, layers + 1) if layer not in dropped)


def subnetwork(model: LayeredModel, kept: Sequence[int]) -> LayeredModel:
    """Returns a copy of `model` with only the layers `kept` (ascending, counted from 1).

    It scales no residual, for any rescale of the schedule: a scale represents the share of steps in which a layer runs,
    and a kept layer always runs.
    """
    config = copy.deepcopy(model.config)
    config.full_depth = None
    config.num_hidden_layers, places = len(kept), config.places
    config.layer_places = [places[layer - 1] for layer in kept] if config.differs_by_place else None
    smaller = model.plain_class(config)
    names = {f"bert.encoder.blocks.{layer - 1}.": f"bert.encoder.blocks.{place}." for place, layer in enumerate(kept)}
    state = {}
    for name, tensor in model.state_dict().items():
        block = ".".join(name.split(".")[:4]) + "."
        if not name.startswith("bert.encoder.blocks."):
            state[name] = tensor
        elif block in names:
            state[names[block] + name.removeprefix(block)] = tensor
    smaller.load_state_dict(state)
    smaller.train(model.training)
    return smaller
