"""The costs of masked language modelling: one head, computed at the masked positions, over the padded vocabulary."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pld_search.costs.forward import BYTES_OF_FLOAT, Forward
from pld_search.costs.layer import norm_parameters
from pld_search.schedules.schedule import Schedule
from pld_search.specs.experiment import Data, Model
from pld_search.specs.pretraining import Pretraining


@dataclass(frozen=True, slots=True)
class MlmCosts:
    """The costs of an objective: here of masked language modelling; subclasses add theirs.

    `spec` holds the settings of the objective. FLOPs count one forward pass, 2mnk for every matrix product.
    """

    spec: Pretraining | None = None

    def head_flops(self, model: Model, data: Data, sequences: int, length: int) -> int:
        """Returns the FLOPs of the heads for `sequences` sequences of `length` positions."""
        predicted = sequences * data.predictions(length)
        return 2 * predicted * model.hidden * (model.hidden + model.padded_vocabulary)

    def rest_flops(self, model: Model, data: Data, sequences: int, length: int) -> int:  # noqa: ARG002 - none here
        """Returns the FLOPs of matrix products outside blocks and heads, in a second network if there is one."""
        return 0

    def second_stack(self, model: Model) -> tuple[Schedule, int] | None:  # noqa: ARG002 - none here
        """Returns the schedule and the number of layers of a second network with its own schedule; None without one."""
        return None

    def second_layer_flops(self, model: Model, sequences: int, length: int) -> tuple[int, int]:  # noqa: ARG002
        """Returns the FLOPs of one of its layers, (attention, feed_forward). `rest_flops` then excludes its layers."""
        return 0, 0

    def parameters(self, model: Model) -> int:
        """Returns the parameters of the heads: a linear map, a norm and a bias for each token. The decoder is the
        embedding, or a matrix of its own.
        """
        decoder = 0 if model.tie_embeddings is None else model.padded_vocabulary * model.hidden
        return self.transform_parameters(model, model.hidden) + model.vocabulary + decoder

    def transform_parameters(self, model: Model, width: int) -> int:
        """Returns the parameters of the head before its decoder, for an input of width `width`."""
        return (width + (model.bias is not False)) * model.hidden + norm_parameters(model)

    def head_bytes(self, of: Forward) -> int:
        """Returns the working bytes of the heads: the logits of the predicted positions once in float32, and once more
        in the precision of the product where that is another buffer (model/token_loss.py).
        """
        other = of.width if of.half or of.cuda else 0
        return of.sequences * of.predictions * of.model.padded_vocabulary * (BYTES_OF_FLOAT + other)

    def kept_bytes(self, of: Forward) -> int:  # noqa: ARG002 - none here
        """Returns the bytes that autograd keeps for a second network while the heads run, beside the model's embeddings
        and layers.
        """
        return 0

    def uniform_guess(self, vocabulary: int) -> float:
        """Returns the loss in nats of a model that guesses uniformly: ln V, V the unpadded vocabulary."""
        return math.log(vocabulary)
