"""The size of a study that `init` writes: it depends on the device, which limits the budget, and on the amount of text.

The small sizes were tried on a CPU with four texts of 0.1 to 10.8 MB (benchmarks/init_learns.py): every row of these
studies ended at least 0.5 nats below the unigram entropy. A model that stays above the unigram entropy has learnt
which tokens are frequent and nothing about their context.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

_CHARACTERS = 3
"""Approximate number of characters of a token; gives the tokens of a pass over the text."""
_PASSES = 40
"""Maximum number of passes of a run over its text: more passes would memorise the text."""
_FEWEST_STEPS = 300


@dataclass(frozen=True, slots=True)
class Size:
    """A size that a device can train: `steps` steps of `sequences` x `length`, the model, and its training settings.

    `vocabulary` is in pieces; `drops` says whether the model uses dropout on hidden states and attention weights.
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
        """Number of layers of the shallower full-depth row, which shows whether the reference is too deep."""
        return 2 * self.layers // 3

    @property
    def model(self) -> str:
        """The model as a YAML flow mapping with comments."""
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
"""(characters, pieces for a text with fewer characters): rare pieces occur too seldom to be learnt."""
_MOST_PIECES = 4096


def size_for(device: str, characters: int) -> Size:
    """Returns the size for a text of `characters` characters. A GPU takes the large size when the text is long enough
    for 20,000 steps. A shorter text gets the small model, on a GPU for at most 40 passes.
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
