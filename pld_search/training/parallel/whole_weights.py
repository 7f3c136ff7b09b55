"""The whole weights of a shared model: gathered for a checkpoint or a model of one process, and divided again."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from pld_search.model.layered_model import LayeredModel
from pld_search.training.parallel.rank_group import Ranks
from pld_search.training.parallel.sharding import settle
from pld_search.training.parallel.shared_tensors import place_like, whole


def whole_weights(model: LayeredModel, ranks: Ranks) -> dict[str, Tensor]:
    """Returns every weight by name. For a shared model a collective that gathers one weight at a time to the host."""
    if ranks.mesh is None:
        return dict(model.state_dict())
    settle(model)
    return {name: whole(tensor.detach()).cpu() for name, tensor in model.state_dict().items()}


def load_weights(model: LayeredModel, weights: Mapping[str, Tensor]) -> None:
    """Loads weights that every rank has whole. Raises RuntimeError if they do not fit the model."""
    settle(model)
    own = model.state_dict()
    model.load_state_dict(
        {name: place_like(own[name], tensor) if name in own else tensor for name, tensor in weights.items()}
    )


def plain_copy(model: LayeredModel, ranks: Ranks) -> LayeredModel:
    """Returns a one-process model with these weights on the same device; the model itself if nothing is shared."""
    if ranks.mesh is None:
        return model
    weights = whole_weights(model, ranks)
    device = next(model.parameters()).device
    plain: LayeredModel = model.empty().to(device)
    plain.load_state_dict(weights)
    plain.train(model.training)
    return plain
