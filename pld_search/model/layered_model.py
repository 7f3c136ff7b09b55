"""The interface of a model for training, for any objective: its layers, its embeddings, its full depth.

Other rooms use a model only through this class, never through the names of its modules. Those names are stored in
checkpoints, and initial values are keyed by them, so they do not change.
"""

from __future__ import annotations

import copy
from typing import Any, Self

from torch import Tensor, nn

from pld_search.model.heads import Pooler
from pld_search.model.stored_model import StoredModel
from pld_search.schedules.plan import Gates


class LayeredModel(StoredModel):
    """A model for pre-training: an encoder `bert`, whose layers a schedule drops, and the heads of an objective."""

    bert: Any

    @property
    def plain_class(self) -> type[Self]:
        """The class for saving and loading; `type(model)` is another class if ranks share the model."""
        raise NotImplementedError

    def empty(self) -> Self:
        """Returns a model of the same class and configuration, whose weights are loaded later."""
        return self.plain_class(copy.deepcopy(self.config))

    @property
    def blocks(self) -> nn.ModuleList:
        """The layers that a schedule drops, from the lowest; each is called as a whole."""
        blocks: nn.ModuleList = self.bert.encoder.blocks
        return blocks

    @property
    def second_blocks(self) -> nn.ModuleList:
        """The layers of a second network, which may have a schedule of its own; empty here."""
        return nn.ModuleList()

    @property
    def halves(self) -> list[dict[str, list[nn.Parameter]]]:
        """For every layer, the parameters of its `attention` and of its `feed_forward`, each with its norms."""
        return [
            {
                half: [parameter for name, parameter in block.named_parameters() if name.startswith(half)]
                for half in ("attention", "feed_forward")
            }
            for block in self.blocks
        ]

    @property
    def token_embeddings(self) -> Tensor:
        """The (padded V, H) matrix of token embeddings, which is also the decoder."""
        weight: Tensor = self.bert.embeddings.words.weight
        return weight

    @property
    def full_depth(self) -> Gates | None:
        """The gates of the network when no gates are given; None means every layer unscaled."""
        gates: Gates | None = self.config.full_depth
        return gates

    @full_depth.setter
    def full_depth(self, gates: Gates | None) -> None:
        """Sets the gates in the configuration, which is saved with the weights; None means every layer unscaled."""
        self.config.full_depth = gates

    @property
    def pretrained_pooler(self) -> Pooler | None:
        """The pooler trained in pre-training, from which fine-tuning starts; None if the objective trains none."""
        pooler = self._modules.get("pooler")
        return pooler if isinstance(pooler, Pooler) else None

    def recompute(self, every: int) -> None:
        """Recomputes the activations of every `every`-th layer in the backward pass; 0 recomputes none."""
        self.bert.encoder.recompute_every = every
