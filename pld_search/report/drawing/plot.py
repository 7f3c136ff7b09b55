"""A plot: an area with two scales, a grid, and the numbers and titles of its axes."""

from __future__ import annotations

from dataclasses import dataclass

from pld_search.report.drawing.scales import Scale, tick_texts
from pld_search.report.drawing.svg_shapes import RULE, SOFT, Box, Line, Shape, Text, fitted

WIDTH, HEIGHT = 380.0, 262.0
SMALL = 9.5
_LEFT, _RIGHT, _TOP, _BOTTOM = 48.0, 12.0, 24.0, 40.0


@dataclass(frozen=True, slots=True)
class Plot:
    """The area of a plot and its scales; `x` grows to the right, `y` upwards."""

    area: Box
    x: Scale
    y: Scale

    @classmethod
    def of(
        cls,
        across: tuple[float, float],
        up: tuple[float, float],
        *,
        width: float = WIDTH,
        height: float = HEIGHT,
        right: float = _RIGHT,
    ) -> Plot:
        """Returns a plot that fills a drawing of `width` x `height`; `right` points beside it stay free."""
        area = Box(_LEFT, _TOP, width - right, height - _BOTTOM)
        return cls(area, Scale(*across, area.left, area.right), Scale(*up, area.bottom, area.top))

    def axes(self, across: str, up: str) -> list[Shape]:
        """Returns grid, numbers and titles of the axes: `across` below, `up` above the upper left corner."""
        area, shapes = self.area, list[Shape]()
        ticks = self.y.ticks(5)
        for value, text in zip(ticks, tick_texts(ticks), strict=True):
            y = self.y.at(value)
            shapes.append(Line([(area.left, y), (area.right, y)], RULE, 0.6))
            shapes.append(Text(area.left - 5, y + SMALL * 0.33, text, SMALL, "end", SOFT))
        shapes += self._across()
        shapes.append(Text(area.right, area.bottom + 33, fitted(across, SMALL, area.right - 2), SMALL, "end", SOFT))
        shapes.append(Text(2, area.top - 12, up, SMALL, "start", SOFT))
        return shapes

    def _across(self) -> list[Shape]:
        """Returns the numbers below the plot, as many as fit side by side."""
        area, shapes, last = self.area, list[Shape](), float("-inf")
        ticks = self.x.ticks(5)
        for value, text in zip(ticks, tick_texts(ticks), strict=True):
            x = self.x.at(value)
            shapes.append(Line([(x, area.top), (x, area.bottom)], RULE, 0.6))
            label = Text(x, area.bottom + 14, text, SMALL, "middle", SOFT)
            if label.box.left > last + 4:
                shapes.append(label)
                last = label.box.right
        shapes.append(Line([(area.left, area.bottom), (area.right, area.bottom)], SOFT, 0.8))
        return shapes
