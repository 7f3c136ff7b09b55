"""The analysis of a network's layers, in numbers: as it was measured, and as records hold it.

Lists are by layer, from the lowest. A number that is not finite is None. Losses are of the whole objective in nats,
over the same held-out sequences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Elasticity:
    """Losses with k = 1 .. L kept layers: `lowest` the k lowest, `highest` the k highest, `best` found greedily.

    gone: the layers (counted from 1) in the order in which the greedy search removes them, each time the layer whose
    removal raises the loss least. `best[k - 1]` is the loss without the first L - k of them. speed: measured sequences
    a second of the encoder with k layers.
    """

    lowest: Values
    highest: Values
    best: Values
    gone: Sequence[int]
    speed: Values

    def kept(self, layers: int) -> tuple[int, ...]:
        """Returns the layers that the greedy search keeps when `layers` layers stay, ascending."""
        total = len(self.best)
        return tuple(sorted(set(range(1, total + 1)) - set(self.gone[: total - layers])))


@dataclass(frozen=True, slots=True)
class LayerAnalysis:
    """One analysis of a network of L layers.

    sequences: the number of held-out sequences. loss: the loss of the whole network. gradients: the norm of the loss's
    gradient in the parameters of a `block`, of its `attention` and of its `feed_forward` (L each). distance, cosine:
    between input and output of a layer, the mean over positions (L). updates: the cosine between the updates of layer l
    and of layer l + 1, the mean over positions (L - 1). without: the loss without layer l (L). swapped: the loss with
    layers l and l + 1 exchanged (L - 1). seconds: the duration of the analysis.
    """

    sequences: int
    loss: float | None
    gradients: Mapping[str, Values]
    distance: Values
    cosine: Values
    updates: Values
    without: Values
    seconds: float
    swapped: Values | None = None
    elasticity: Elasticity | None = None

    @property
    def layers(self) -> int:
        """The number of layers L."""
        return len(self.cosine)

    @property
    def increases(self) -> Values:
        """The increase of the loss without each layer, in nats (L)."""
        return [None if self.loss is None or value is None else value - self.loss for value in self.without]

    def record(self) -> dict[str, Any]:
        """Returns the analysis as JSON values; values that were not measured are left out."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        if self.elasticity is not None:
            values["elasticity"] = {each.name: list(getattr(self.elasticity, each.name)) for each in fields(Elasticity)}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """Returns the analysis of a `record`; keys of a later version are dropped."""
        known = {each.name for each in fields(cls)}
        values = {name: value for name, value in record.items() if name in known}
        if (curve := values.get("elasticity")) is not None:
            values["elasticity"] = Elasticity(**{each.name: curve[each.name] for each in fields(Elasticity)})
        return cls(**values)

    def summary(self) -> dict[str, float]:
        """Returns the summary metrics by name; unknown numbers are left out."""
        block, half = self.gradients["block"], self.layers // 2
        least, most = _ends(self.increases)
        found: dict[str, float | None] = {
            "analysis/gradient_ratio": _ratio(block[-1], block[0]),
            "analysis/cosine": _mean(self.cosine),
            "analysis/updates": _mean(self.updates),
            "analysis/least_lesion": least,
            "analysis/worst_lesion": most,
            "analysis/seconds": self.seconds,
        }
        if self.elasticity is not None and half and self.loss is not None:
            best = self.elasticity.best[half - 1]
            found["analysis/half_depth"] = None if best is None else best - self.loss
        return {name: value for name, value in found.items() if value is not None}


def _ratio(one: float | None, other: float | None) -> float | None:
    return None if one is None or not other else one / other


def _mean(values: Values) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _ends(values: Values) -> tuple[float | None, float | None]:
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else (None, None)
