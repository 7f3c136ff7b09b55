"""What training asks of a model, whatever it learns: its layers, its embeddings, its full depth.

Outside this room a model is reached through this class alone, never through the names of its modules. Those names are
stored in checkpoints, and initial values are keyed by them, so they do not change.
"""

from __future__ import annotations

import copy
from typing import Any, Self

from torch import Tensor, nn

from pld_search.model.heads import Pooler
from pld_search.model.stored_model import StoredModel
from pld_search.schedules.plan import Gates


class LayeredModel(StoredModel):
    """A model that is pre-trained: an encoder `bert`, whose layers a schedule drops, and the heads of an objective."""

    bert: Any

    @property
    def plain_class(self) -> type[Self]:
        """The class as it is written and loaded; `type(model)` is another where ranks share the model."""
        raise NotImplementedError

    def empty(self) -> Self:
        """A model of the same class and configuration, whose weights are still to be loaded."""
        return self.plain_class(copy.deepcopy(self.config))

    @property
    def blocks(self) -> nn.ModuleList:
        """The layers that a schedule drops, from below; each is called as a whole."""
        blocks: nn.ModuleList = self.bert.encoder.blocks
        return blocks

    @property
    def second_blocks(self) -> nn.ModuleList:
        """The layers of a second network, which may drop some by a schedule of its own; none here."""
        return nn.ModuleList()

    @property
    def halves(self) -> list[dict[str, list[nn.Parameter]]]:
        """Of every layer, the parameters of its `attention` and of its `feed_forward`, each with its norms."""
        return [
            {
                half: [parameter for name, parameter in block.named_parameters() if name.startswith(half)]
                for half in ("attention", "feed_forward")
            }
            for block in self.blocks
        ]

    @property
    def token_embeddings(self) -> Tensor:
        """The (padded V, H) matrix of token embeddings, which is the decoder, too."""
        weight: Tensor = self.bert.embeddings.words.weight
        return weight

    @property
    def full_depth(self) -> Gates | None:
        """How the network runs where no gates are given: None for every layer unscaled."""
        gates: Gates | None = self.config.full_depth
        return gates

    @full_depth.setter
    def full_depth(self, gates: Gates | None) -> None:
        """Set it in the configuration, which is saved with the weights; None: every layer unscaled."""
        self.config.full_depth = gates

    @property
    def pretrained_pooler(self) -> Pooler | None:
        """The pooler that pre-training has trained, from which fine-tuning starts; None where it trains none."""
        pooler = self._modules.get("pooler")
        return pooler if isinstance(pooler, Pooler) else None

    def recompute(self, every: int) -> None:
        """Compute the activations of every so manieth layer again in the backward pass; 0: of none."""
        self.bert.encoder.recompute_every = every
