"""The shapes of a drawing, and the width of texts."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

Point = tuple[float, float]
INK, SOFT, RULE, GROUND, BAD = "ink", "soft", "rule", "ground", "bad"
"""Colours that the page's style sets, so that a picture follows light and dark mode; any other colour is `#rrggbb`."""
MarkShape = Literal["circle", "square", "diamond", "triangle", "ring"]

_WIDTHS = (
    (0.32, " ijl'IJ,.·"),
    (0.36, "/:;|f-\\"),
    (0.42, "()[]t!r"),
    (0.53, '"*_`–s?z'),
    (0.6, "cLkFvxy"),
    (0.64, "PTYaeo0123456789bdghnpquES${}"),
    (0.7, "KABVXZCR"),
    (0.79, "UNHDG&OQ"),
    (0.87, "w#+<=>^~−±→×M"),
    (1.0, "%mW@…"),
)
_WIDTH = {letter: width for width, letters in _WIDTHS for letter in letters}
_OTHER, _WIDE, _BOLD = 0.8, 1.1, 1.27
"""Ems of an unlisted letter, of an East Asian letter, and the maximum widening of bold letters."""
_ASCENT, _DESCENT = 0.78, 0.24
"""Ems of a line above and below its baseline."""


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Returns an upper bound of a text's width in points, from the advances of DejaVu Sans, the widest usual font."""
    ems = sum(_WIDTH.get(letter, _WIDE if unicodedata.east_asian_width(letter) in "WF" else _OTHER) for letter in text)
    return ems * size * (_BOLD if bold else 1.0)


def fitted(text: str, size: float, width: float, bold: bool = False) -> str:
    """Returns the text, cut with `…` when it is wider than `width`."""
    if text_width(text, size, bold) <= width:
        return text
    while text and text_width(text + "…", size, bold) > width:
        text = text[:-1].rstrip()
    return text + "…"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle: left, top, right, bottom."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        """Whether both boxes have an inner point in common."""
        apart = self.right <= other.left or other.right <= self.left
        return not (apart or self.bottom <= other.top or other.bottom <= self.top)

    def inside(self, other: Box) -> bool:
        """Whether the box lies completely inside the other."""
        across = other.left <= self.left and self.right <= other.right
        return across and other.top <= self.top and self.bottom <= other.bottom


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points; `dash` in SVG's notation (`4 3`)."""

    points: Sequence[Point]
    colour: str = INK
    width: float = 1.0
    dash: str | None = None
    opacity: float = 1.0


@dataclass(frozen=True, slots=True)
class Area:
    """A filled polygon."""

    points: Sequence[Point]
    colour: str
    opacity: float = 1.0


@dataclass(frozen=True, slots=True)
class Mark:
    """A point mark of `size` points in diameter."""

    x: float
    y: float
    colour: str
    size: float = 7.0
    shape: MarkShape = "circle"
    opacity: float = 1.0

    @property
    def box(self) -> Box:
        """The area of the mark."""
        half = self.size / 2
        return Box(self.x - half, self.y - half, self.x + half, self.y + half)


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text with its baseline at `y`; `anchor` says which end of the text `x` is."""

    x: float
    y: float
    text: str
    size: float = 10.0
    anchor: Literal["start", "middle", "end"] = "start"
    colour: str = INK
    bold: bool = False

    @property
    def box(self) -> Box:
        """The maximum area of the text."""
        width = text_width(self.text, self.size, self.bold)
        left = self.x - {"start": 0.0, "middle": width / 2, "end": width}[self.anchor]
        return Box(left, self.y - _ASCENT * self.size, left + width, self.y + _DESCENT * self.size)


Shape = Line | Area | Mark | Text


@dataclass(frozen=True, slots=True)
class Group:
    """Shapes that belong together: `tip` is their tooltip, `key` the row they belong to.

    clip: nothing outside of this box is drawn.
    """

    shapes: Sequence[Shape | Group]
    tip: str | None = None
    key: str | None = None
    clip: Box | None = None


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture of `width` x `height` points; `alt` describes it in words, `name` is the name of its file."""

    name: str
    width: float
    height: float
    alt: str
    shapes: Sequence[Shape | Group] = field(default=())

    def all_shapes(self) -> Iterator[Shape]:
        """Yields every shape, including shapes in groups."""
        return _flat(self.shapes)

    def texts(self) -> list[Text]:
        """Returns every text of the picture."""
        return [shape for shape in self.all_shapes() if isinstance(shape, Text)]


def _flat(shapes: Sequence[Shape | Group]) -> Iterator[Shape]:
    for shape in shapes:
        if isinstance(shape, Group):
            yield from _flat(shape.shapes)
        else:
            yield shape
