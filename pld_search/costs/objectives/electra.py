"""The costs of ELECTRA: a generator, which runs whole without a schedule of its own, and a head at every position of
the discriminator.
"""

from __future__ import annotations

import math

from pld_search.costs.forward import BYTES_OF_FLOAT, Forward
from pld_search.costs.layer import block_bytes, block_flops, norm_parameters, stack_parameters
from pld_search.costs.objectives.mlm import MlmCosts
from pld_search.schedules.schedule import Schedule
from pld_search.specs.experiment import Data, Model
from pld_search.specs.pretraining import Electra


class ElectraCosts(MlmCosts):
    """The generator shares all embeddings; a linear map takes them to its width if that differs."""

    @property
    def settings(self) -> Electra:
        """The settings of the objective."""
        assert isinstance(self.spec, Electra)
        return self.spec

    def generator(self, model: Model) -> Model:
        """Returns the generator of a discriminator, as an architecture."""
        sizes = self.settings.generator.sizes(model.layers, model.hidden, model.heads, model.intermediate)
        return model.model_copy(update=sizes._asdict())

    def second_stack(self, model: Model) -> tuple[Schedule, int] | None:
        """Returns the generator's own schedule and its number of layers; None without a schedule."""
        schedule = self.settings.generator.schedule
        return None if schedule is None else (schedule, self.generator(model).layers)

    def second_layer_flops(self, model: Model, sequences: int, length: int) -> tuple[int, int]:
        """Returns the FLOPs of one layer of a generator with its own schedule; zeros without a schedule."""
        dropped = self.settings.generator.schedule is not None
        return block_flops(self.generator(model), sequences, length) if dropped else (0, 0)

    def head_flops(self, model: Model, data: Data, sequences: int, length: int) -> int:  # noqa: ARG002 - no mask here
        """Returns the FLOPs of the discriminator's head: a linear map and one number, at every position."""
        return 2 * sequences * length * model.hidden * (model.hidden + 1)

    def rest_flops(self, model: Model, data: Data, sequences: int, length: int) -> int:
        """Returns the FLOPs of the generator: the map of its embeddings, its layers if they have no schedule, its
        head at the masked positions.
        """
        own, tokens, predicted = self.generator(model), sequences * length, sequences * data.predictions(length)
        projected = 0 if own.hidden == model.hidden else 2 * tokens * model.hidden * own.hidden
        head = 2 * predicted * model.hidden * (own.hidden + model.padded_vocabulary)
        whole = own.layers if self.settings.generator.schedule is None else 0
        return projected + whole * sum(block_flops(own, sequences, length)) + head

    def parameters(self, model: Model) -> int:
        """Returns the parameters of both heads and of the generator."""
        own = self.generator(model)
        projected = 0 if own.hidden == model.hidden else (model.hidden + 1) * own.hidden
        last_norm = 0 if own.norm == "post" else norm_parameters(own)
        head = self.transform_parameters(model, own.hidden) + model.vocabulary
        detector = (model.hidden + 1) * model.hidden + model.hidden + 1
        return projected + stack_parameters(own) + last_norm + head + detector

    def head_bytes(self, of: Forward) -> int:
        """Returns the bytes of log-probabilities and gradient of the generator's logits, in float32."""
        return 2 * BYTES_OF_FLOAT * of.sequences * of.predictions * of.model.padded_vocabulary

    def kept_bytes(self, of: Forward) -> int:
        """Returns the bytes of the generator's embeddings at both widths, its layers and its logits, of the inputs of
        the discriminator's head and of its GELU, and of the embeddings of the discriminator's pass.
        """
        own = self.generator(of.model)
        layers = own.layers * block_bytes(Forward(own, of.sequences, of.length, of.predictions, of.half, of.cuda))
        logits = of.width * of.sequences * of.predictions * of.model.padded_vocabulary
        embedded = 2 * BYTES_OF_FLOAT * of.tokens * (of.model.hidden + own.hidden)
        detector = 2 * of.width * of.tokens * of.model.hidden
        return layers + logits + embedded + detector

    def uniform_guess(self, vocabulary: int) -> float:
        """Returns ln V + weight x ln 2."""
        return MlmCosts.uniform_guess(self, vocabulary) + self.settings.weight * math.log(2)
