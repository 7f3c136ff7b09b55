"""What holds for every picture of the page, on a study with long names, many rows and conditional branches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pytest

from pld_search.report.drawing.svg_shapes import Box, Drawing, Mark, Text
from pld_search.report.page import SECTIONS
from pld_search.report.page_facts import PageFacts
from tests.report.searched import SYSTEMS


def drawings(facts: PageFacts) -> Iterator[Drawing]:
    for section in SECTIONS:
        if section.pictures is not None:
            yield from section.pictures(facts)


@pytest.fixture(params=["large", "small"])
def facts(request: pytest.FixtureRequest) -> PageFacts:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, PageFacts)
    return found


def overlapping(texts: list[Text]) -> list[tuple[str, str]]:
    return [(one.text, other.text) for one, other in combinations(texts, 2) if one.box.overlaps(other.box)]


def test_no_text_of_a_picture_covers_another(facts: PageFacts) -> None:
    seen = 0
    for drawing in drawings(facts):
        seen += len(drawing.texts())
        assert overlapping(drawing.texts()) == [], drawing.name
    assert seen > 100


def test_every_text_lies_inside_its_picture(facts: PageFacts) -> None:
    for drawing in drawings(facts):
        edge = Box(-2, -2, drawing.width + 2, drawing.height + 2)
        assert [text.text for text in drawing.texts() if not text.box.inside(edge)] == [], drawing.name


def test_every_picture_has_a_name_of_its_own_and_says_what_it_shows(facts: PageFacts) -> None:
    found = list(drawings(facts))
    assert len(found) == len({drawing.name for drawing in found}) > 8
    assert all(len(drawing.alt) > 30 for drawing in found)


def test_no_label_covers_a_point_of_another_row(large: PageFacts) -> None:
    costs = [drawing for drawing in drawings(large) if drawing.name.startswith("cost")]
    assert len(costs) == 2
    for drawing in costs:
        marks = [shape for shape in drawing.all_shapes() if isinstance(shape, Mark)]
        assert len(marks) > len(SYSTEMS)
        names = [text for text in drawing.texts() if text.text.rstrip("…")[:12] in {name[:12] for name in SYSTEMS}]
        assert len(names) == len(SYSTEMS) - 1  # all but the one whose seeds did not all finish
        assert not [(name.text, mark) for name in names for mark in marks if name.box.overlaps(mark.box)]
