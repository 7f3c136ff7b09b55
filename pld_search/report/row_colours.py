"""The colour and the mark of each row, the same in every picture and table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pld_search.report.comparison import SystemRow
from pld_search.report.drawing.svg_shapes import MarkShape

# after Okabe and Ito: distinguishable for colour-blind readers
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#b65fa0", "#c98a00", "#3aa0d8", "#7a5fc0", "#a0522d")
SAMPLED = "#8a8f98"
_SHAPES: tuple[MarkShape, ...] = ("circle", "square", "diamond", "triangle")
_GLYPHS = {"circle": "●", "square": "■", "diamond": "◆", "triangle": "▲"}


@dataclass(frozen=True, slots=True)
class RowColours:
    """The colour and the mark of a row; `glyph` is the mark as a character."""

    colour: str
    shape: MarkShape = "circle"

    @property
    def glyph(self) -> str:
        """The mark of the row in text."""
        return _GLYPHS[self.shape]


def looks(table: Sequence[SystemRow]) -> dict[str, RowColours]:
    """Returns a look for each row, by label: systems differ by colour, then by mark; sampled trials share a grey."""
    systems = [row.label for row in table if row.system is not None]
    found = {row.label: RowColours(SAMPLED) for row in table}
    for index, label in enumerate(systems):
        found[label] = RowColours(PALETTE[index % len(PALETTE)], _SHAPES[index // len(PALETTE) % len(_SHAPES)])
    return found
