"""A network with temporarily removed or reordered layers, without a copy of a weight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from pld_search.model.layered_model import LayeredModel


@contextmanager
def rearranged(model: LayeredModel, layers: Sequence[int], *, scaled: bool = True) -> Iterator[None]:
    """Makes `model` run only the layers `layers` (counted from 1), in this order, while the context lasts; () runs
    none.

    Each layer keeps the properties of its place in the network (local or global attention, the scale of its norms).

    scaled: if the network multiplies residuals at full depth (`rescale: evaluation`), each layer keeps its own scale.
    Otherwise no residual is scaled, as in a subnetwork (model/subnetwork.py).
    """
    own, config = model.blocks, model.config
    count, scales, places = config.num_hidden_layers, config.residual_scale, config.layer_places
    chosen, own_places = [layer - 1 for layer in layers], list(config.places)
    try:
        model.bert.encoder.blocks = nn.ModuleList([own[index] for index in chosen])
        config.num_hidden_layers = len(chosen)
        config.layer_places = [own_places[index] for index in chosen] if config.differs_by_place else None
        config.residual_scale = [scales[index] for index in chosen] if scaled and scales is not None else None
        yield
    finally:
        model.bert.encoder.blocks = own
        config.num_hidden_layers, config.residual_scale, config.layer_places = count, scales, places
