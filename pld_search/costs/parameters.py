"""The number of parameters of a model in pre-training, its heads included, from its shapes alone."""

from __future__ import annotations

from pld_search.costs.layer import block_matrices, norm_parameters, stack_parameters
from pld_search.costs.objectives import costs_of
from pld_search.specs.experiment import Model
from pld_search.specs.pretraining import Pretraining

_TOKEN_TYPES = 2
BYTES_IN_A_CHECKPOINT = 12
"""Bytes of one parameter: the weight and AdamW's two moments, in float32."""
_BYTES_OF_A_MOMENT = 4


def parameters_of(model: Model, pretraining: Pretraining | None = None) -> int:
    """Returns the number of all parameters: embeddings (padded rows included), blocks, heads of the objective, biases
    and norms.
    """
    return stack_parameters(model) + outer_parameters(model, pretraining)


def outer_parameters(model: Model, pretraining: Pretraining | None = None) -> int:
    """Returns the number of parameters outside the blocks: embeddings, last norm, heads."""
    width = model.hidden
    positions = model.max_length * width if model.positions == "learned" else 0
    types = _TOKEN_TYPES if model.token_types is None else 0
    embeddings = (model.padded_vocabulary + types) * width + positions + norm_parameters(model)
    last_norm = 0 if model.norm == "post" else norm_parameters(model)
    return embeddings + last_norm + costs_of(pretraining).parameters(model)


def checkpoint_bytes(model: Model, pretraining: Pretraining | None = None, optimizer: str | None = None) -> int:
    """Returns the size of one checkpoint on disk, up to a few kilobytes."""
    return BYTES_IN_A_CHECKPOINT * parameters_of(model, pretraining) - saved_moments(model, optimizer)


def saved_moments(model: Model, optimizer: str | None) -> int:
    """Returns the bytes of moments that this kind of optimizer saves against AdamW: Muon has one moment, not two, for
    the layers' matrices.
    """
    return _BYTES_OF_A_MOMENT * model.layers * block_matrices(model) if optimizer == "muon" else 0
