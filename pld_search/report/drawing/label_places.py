"""Places labels beside their points, so that no label covers another label, a point or the edge."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pld_search.report.drawing.svg_shapes import SOFT, Box, Line, Mark, Shape, Text, fitted

SIZE = 9.5
_NEAR = 7.0
_RINGS = (0.0, 10.0, 20.0, 32.0, 46.0, 62.0, 80.0, 100.0, 125.0, 150.0)
_DIRECTIONS = 16
_WIDEST = 150.0
_AIR = 1.5


@dataclass(frozen=True, slots=True)
class Named:
    """A point with its name."""

    x: float
    y: float
    name: str
    colour: str


def labels(points: Sequence[Named], taken: Sequence[Mark | Text], inside: Box) -> list[Shape]:
    """Returns the names of the points, each at the nearest free place; a thin line joins a distant name to its point.

    A name without a free place is left out; legend and tooltip still show it.
    """
    boxes, shapes = [each.box for each in taken], list[Shape]()
    for point in points:
        found = next((text for text in _candidates(point) if _free(text.box, boxes, inside)), None)
        if found is None:
            continue
        boxes.append(_grown(found.box))
        if _distance(found.box, point) > _NEAR + _RINGS[1] / 2:
            shapes.append(Line([(point.x, point.y), _nearest(found.box, point)], SOFT, 0.6))
        shapes.append(found)
    return shapes


def column(points: Sequence[Named], x: float, inside: Box, width: float) -> list[Shape]:
    """Returns the names in one column at `x`, in the vertical order of their points, each joined to its point.

    The column holds as many names as fit below each other; the lowest ones are left out first.
    """
    height = SIZE * 1.25
    room = max(0, int((inside.bottom - inside.top) // height))
    ordered = sorted(points, key=lambda point: point.y)[:room]
    places = _spread([point.y for point in ordered], height, inside.top + height / 2, inside.bottom - height / 2)
    shapes: list[Shape] = []
    for point, y in zip(ordered, places, strict=True):
        shapes.append(Line([(point.x, point.y), (x - 12, y), (x - 2, y)], point.colour, 0.7, opacity=0.7))
        shapes.append(Text(x, y + SIZE * 0.32, fitted(point.name, SIZE, width), SIZE, colour=point.colour))
    return shapes


def _spread(wanted: Sequence[float], height: float, top: float, bottom: float) -> list[float]:
    """Returns positions at least `height` apart, near the ascending wanted ones: first pushed down, then back up."""
    places: list[float] = []
    for place in wanted:
        places.append(max(place, top, *(last + height for last in places[-1:])))
    limit = bottom
    for index in reversed(range(len(places))):
        places[index] = min(places[index], limit)
        limit = places[index] - height
    return places


def _candidates(point: Named) -> Iterator[Text]:
    """Yields places for a name, the best first: right, left, above, below, then further away in all directions."""
    name = fitted(point.name, SIZE, _WIDEST)
    for ring in _RINGS:
        reach = _NEAR + ring
        for number in _ordered(ring):
            angle = 2 * math.pi * number / _DIRECTIONS
            x, y = point.x + reach * math.cos(angle), point.y - reach * math.sin(angle)
            across = math.cos(angle)
            anchor = "start" if across > 0.3 else "end" if across < -0.3 else "middle"
            down = SIZE * (0.27 - 0.45 * math.sin(angle))
            yield Text(x, y + down, name, SIZE, anchor, point.colour)  # type: ignore[arg-type]


def _ordered(ring: float) -> Sequence[int]:
    first = (0, 8, 4, 12, 2, 14, 6, 10)
    return first if ring == 0 else (*first, *(each for each in range(_DIRECTIONS) if each not in first))


def _free(box: Box, taken: Sequence[Box], inside: Box) -> bool:
    return box.inside(inside) and not any(box.overlaps(other) for other in taken)


def _grown(box: Box) -> Box:
    return Box(box.left - _AIR, box.top - _AIR, box.right + _AIR, box.bottom + _AIR)


def _nearest(box: Box, point: Named) -> tuple[float, float]:
    return min(max(point.x, box.left), box.right), min(max(point.y, box.top), box.bottom)


def _distance(box: Box, point: Named) -> float:
    return math.dist(_nearest(box, point), (point.x, point.y))
