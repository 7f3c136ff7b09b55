"""How large a study `init` begins with: by the device, which is the budget, and by how much text there is.

The small ones were tried on a CPU with texts of 0.1 to 0.9 MB (benchmarks/init_learns.py): every row of their studies
ends at least 0.6 nats below the unigram entropy. A model that stays above has learnt which tokens are frequent and
nothing of their neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

_CHARACTERS = 3
"""Characters of a token, about: what a pass over the text is."""
_PASSES = 40
"""A run reads its text so often at most: more would be learnt by heart."""
_FEWEST_STEPS = 300


@dataclass(frozen=True, slots=True)
class Size:
    """A beginning that a device can take: `steps` of `sequences` x `length`, the model they train, and how.

    `vocabulary` is in pieces; `drops` says whether hidden states and attention weights are dropped out.
    """

    layers: int
    hidden: int
    heads: int
    vocabulary: int
    length: int
    sequences: int
    steps: int
    lr: str = "3e-3"
    drops: bool = False

    @property
    def shallow(self) -> int:
        """Layers of the full-depth row that says whether the reference is too deep."""
        return 2 * self.layers // 3

    @property
    def model(self) -> str:
        """The model as a flow mapping of the study, with its comments."""
        shape = f"layers: {self.layers}, hidden: {self.hidden}, heads: {self.heads}"
        if self.drops:
            return f"{{{shape}}}   # norm: pre, positions: learned unless stated"
        return (
            f"{{{shape}, embedding_std: 0.1, dropout: 0, attention_dropout: 0,   # what a short run learns with\n"
            "          positions: rope, feed_forward: geglu, token_types: false, first_norm: false}"
            "   # ModernBERT's form, for export"
        )


_SMALL = Size(layers=6, hidden=128, heads=4, vocabulary=1024, length=64, sequences=32, steps=_FEWEST_STEPS)
_LARGE = Size(12, 768, 12, vocabulary=16_384, length=128, sequences=256, steps=20_000, lr="1e-3", drops=True)
_VOCABULARIES = ((300_000, 1024), (3_000_000, 2048))
"""(characters, pieces of a text that has fewer): rare pieces are seen too seldom to be learnt."""
_MOST_PIECES = 4096


def size_for(device: str, characters: int) -> Size:
    """The beginning for a text of so many characters: a GPU takes the large one where the text is long enough for its
    20,000 steps; a shorter text gets the small model, and on a GPU at most 40 passes.
    """
    tokens = characters // _CHARACTERS
    if device == "cuda" and _LARGE.steps * _LARGE.sequences * _LARGE.length <= _PASSES * tokens:
        return _LARGE
    pieces = next((pieces for most, pieces in _VOCABULARIES if characters < most), _MOST_PIECES)
    small = replace(_SMALL, vocabulary=pieces)
    if device != "cuda":
        return small
    passes = _PASSES * tokens // (small.sequences * small.length)
    return replace(small, steps=min(_LARGE.steps, max(_FEWEST_STEPS, passes)))
