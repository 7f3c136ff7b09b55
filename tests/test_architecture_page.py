"""docs/architecture.md is true of the tree: its files exist, and every room is in its picture."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PLACES = sorted({place.rstrip("/") for place in re.findall(r"`((?:pld_search|tests|docs)/[\w/.]+)`", PAGE)})


def test_every_place_on_the_page_exists() -> None:
    assert len(PLACES) > 40
    assert [place for place in PLACES if not (ROOT / place).exists()] == []


def test_every_room_is_in_the_picture() -> None:
    picture = PAGE.split("```")[1]
    entries = (ROOT / "pld_search").iterdir()
    rooms = {path.stem for path in entries if path.suffix == ".py" or (path / "__init__.py").exists()}
    rooms -= {"__init__", "__main__", "hf", "compat"}
    assert len(rooms) > 15
    assert {room for room in rooms if not re.search(rf"\b{room}\b", picture)} == set()


def test_every_room_of_the_picture_exists() -> None:
    picture = PAGE.split("```")[1]
    named = [
        word for line in picture.splitlines() for word in re.split(r"\s+", re.split(r"\s{3,}(?=[a-zA-Z])", line)[0])
    ]
    rooms = {word for word in named if word.isalpha()}
    assert {room for room in rooms if not list((ROOT / "pld_search").glob(f"{room}*"))} == set()


def test_every_family_member_has_a_way_in() -> None:
    """What a stranger may want to add has a row in the last table."""
    rows = re.findall(r"^\| (an? [\w ]+) \|", PAGE, flags=re.MULTILINE)
    wanted = ["family", "depth", "objective", "architecture", "sampler", "launcher", "tracker", "metric", "verb"]
    assert [word for word in wanted if not any(word in row for row in rows)] == []


def test_ten_questions_lead_to_a_file_that_defines_the_word() -> None:
    rows = re.findall(r"^\| [^|]+\? \| `(pld_search/[\w/.]+)` \| `(\w+)` \|$", PAGE, flags=re.MULTILINE)
    assert len(rows) == 10
    defined = re.compile(r"^(?:class|def) (\w+)|^(\w+) = ", flags=re.MULTILINE)
    for place, word in rows:
        names = {name for found in defined.findall((ROOT / place).read_text(encoding="utf-8")) for name in found}
        assert word in names, f"{place} defines no {word}"
