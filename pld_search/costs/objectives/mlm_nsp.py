"""The costs that next-sentence prediction adds to masked language modelling: a pooler, and a linear map to two
classes.
"""

from __future__ import annotations

import math

from pld_search.costs.objectives.mlm import MlmCosts
from pld_search.specs.experiment import Data, Model

_CLASSES = 2


class MlmNspCosts(MlmCosts):
    """Both heads read a sequence's last hidden states once: at the masked positions, and at [CLS]."""

    def head_flops(self, model: Model, data: Data, sequences: int, length: int) -> int:
        """Returns the FLOPs of masked language modelling, and of pooler and classes for every sequence."""
        pooled = 2 * sequences * model.hidden * (model.hidden + _CLASSES)
        return MlmCosts.head_flops(self, model, data, sequences, length) + pooled

    def parameters(self, model: Model) -> int:
        """Returns the parameters of masked language modelling, and of two linear maps with biases."""
        added = (model.hidden + 1) * model.hidden + (model.hidden + 1) * _CLASSES
        return MlmCosts.parameters(self, model) + added

    def uniform_guess(self, vocabulary: int) -> float:
        """Returns ln V + ln 2."""
        return MlmCosts.uniform_guess(self, vocabulary) + math.log(_CLASSES)
