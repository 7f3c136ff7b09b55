"""The loss when layers are missing or swapped (Veit et al., "Residual Networks Behave Like Ensembles of Relatively
Shallow Networks", NeurIPS 2016), and the loss with fewer and fewer layers: the depth-elasticity curve.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from pld_search.analysis.held_out_sample import HeldOutSample
from pld_search.model.layered_model import LayeredModel
from pld_search.model.rearranged import rearranged


@dataclass(slots=True)
class Lesions:
    """Losses of one network over one sample with some of its layers; each is computed once. Layers count from 1."""

    model: LayeredModel
    sample: HeldOutSample
    _known: dict[tuple[tuple[int, ...], bool], float] = field(default_factory=dict)

    @property
    def all(self) -> tuple[int, ...]:
        """Every layer, in order."""
        return tuple(range(1, len(self.model.blocks) + 1))

    def loss(self, layers: Sequence[int], *, scaled: bool = True) -> float:
        """Returns the loss with `layers` in this order (see `rearranged`)."""
        key = tuple(layers), scaled or self.model.full_depth is None
        if key not in self._known:
            with rearranged(self.model, layers, scaled=scaled):
                self._known[key] = self.sample.loss(self.model)
        return self._known[key]

    def without_each(self) -> list[float]:
        """Returns the loss without layer 1, 2, ... L; every other layer runs as at full depth."""
        return [self.loss([other for other in self.all if other != layer]) for layer in self.all]

    def swapped(self) -> list[float]:
        """Returns the loss with layers l and l + 1 exchanged, l = 1 .. L - 1."""
        return [
            self.loss([*self.all[: layer - 1], layer + 1, layer, *self.all[layer + 1 :]]) for layer in self.all[:-1]
        ]

    def lowest(self) -> list[float]:
        """Returns the loss with the k lowest layers, k = 1 .. L."""
        return [self._kept(self.all[:kept]) for kept in self.all]

    def highest(self) -> list[float]:
        """Returns the loss with the k highest layers, k = 1 .. L."""
        return [self._kept(self.all[len(self.all) - kept :]) for kept in self.all]

    def best(self) -> tuple[list[float], list[int]]:
        """Returns the loss with k layers, k = 1 .. L, found by greedy removal, and the layers in order of removal.

        Starting from the whole network, each step removes the layer whose removal gives the lowest loss (the lower
        layer of equals).
        """
        left, gone = list(self.all), []
        losses = [self._kept(left)]
        while len(left) > 1:
            after = {layer: self._kept([other for other in left if other != layer]) for layer in left}
            going = min(left, key=lambda layer: (math.isnan(after[layer]), after[layer]))
            left.remove(going)
            gone.append(going)
            losses.append(after[going])
        return losses[::-1], gone

    def _kept(self, layers: Sequence[int]) -> float:
        """Returns the loss of a subnetwork as `export --layers` writes it, without scaled residuals."""
        return self.loss(layers, scaled=len(layers) == len(self.all))
