from __future__ import annotations

import random
from itertools import combinations

import pytest

from pld_search.report.drawing.label_places import Named, column, labels
from pld_search.report.drawing.svg_shapes import Box, Mark, Shape, Text

AREA = Box(0, 0, 380, 260)


def texts(shapes: list[Shape]) -> list[Text]:
    return [shape for shape in shapes if isinstance(shape, Text)]


@pytest.mark.parametrize("seed", range(20))
def test_names_cover_neither_names_nor_points(seed: int) -> None:
    numbers = random.Random(seed)
    places = [(numbers.uniform(150, 230), numbers.uniform(100, 160)) for _ in range(12)]
    points = [Named(x, y, f"a row with a name {number}", "#0072b2") for number, (x, y) in enumerate(places)]
    marks = [Mark(x, y, "#0072b2") for x, y in places]
    found = texts(labels(points, marks, AREA))
    assert len(found) >= 10
    assert not [1 for one, other in combinations(found, 2) if one.box.overlaps(other.box)]
    assert not [1 for text in found for mark in marks if text.box.overlaps(mark.box)]
    assert all(text.box.inside(AREA) for text in found)


def test_equal_points_all_have_their_names() -> None:
    points = [Named(190, 130, f"row {number}", "#0072b2") for number in range(8)]
    found = texts(labels(points, [Mark(190, 130, "#0072b2")], AREA))
    assert sorted(text.text for text in found) == [f"row {number}" for number in range(8)]


def test_a_column_keeps_the_order_and_never_covers() -> None:
    points = [Named(300, 250 - number, f"row {number}", "#0072b2") for number in range(15)]
    found = texts(column(points, 316, Box(300, 0, 400, 260), 80))
    assert [text.text for text in found] == [f"row {number}" for number in reversed(range(15))]
    assert not [1 for one, other in combinations(found, 2) if one.box.overlaps(other.box)]
    assert all(0 <= text.y <= 260 for text in found)


def test_a_column_leaves_out_what_has_no_room() -> None:
    points = [Named(300, 10.0 * number, f"row {number}", "#0072b2") for number in range(9)]
    found = texts(column(points, 316, Box(300, 0, 400, 50), 80))
    assert [text.text for text in found] == ["row 0", "row 1", "row 2", "row 3"]
