from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pld_search.records.study_record import view
from pld_search.report.page import page
from pld_search.specs.growth import Growth
from tests.report.studies import FULL, Folder, experiment, schedule

VOID = {"meta", "br", "img", "link", "input", "hr"}
LOADS = ("src", "href", "xlink:href", "data", "srcset", "action", "poster")


class Reader(HTMLParser):
    """Checks that elements nest, and collects what a browser would load, ids and text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self._attributes(attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._attributes(attrs)

    def _attributes(self, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for key, value in attrs if key in LOADS]
        self.ids += [value or "" for key, value in attrs if key == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def demo_page(demo: Path) -> str:
    return page(view(demo))


def test_the_page_is_well_formed_and_loads_nothing(demo_page: str) -> None:
    reader = read(demo_page)
    assert reader.loads
    assert all(load.startswith(("#", "data:image/png;base64,")) for load in reader.loads)
    assert not {"script", "link", "iframe", "object", "embed", "img"} & set(reader.tags)
    assert not re.search(r"@import|url\(\s*['\"]?(?!#)", demo_page)


def test_ids_are_unique_over_all_figures(demo_page: str) -> None:
    ids = read(demo_page).ids
    assert len(ids) > 20
    assert len(ids) == len(set(ids))


def test_every_section_is_there(demo_page: str) -> None:
    reader = read(demo_page)
    text = " ".join(" ".join(reader.text).split())
    for words in (
        "Systems side by side",
        "Downstream scores",
        "Quality against cost",
        "Learning curves",
        "Schedules",
        "Every run",
        "Provenance",
    ):
        assert words in text
    for words in (
        "not confirmed",
        "undecided",
        "exploratory",
        "No row is shown to be better than full on valid/loss.",
        "unigram entropy",
        "pld-search run",
        "2.13.0",
        "1 diverged",
        "equal",
        "−0.050",
    ):
        assert words in text, words
    assert (
        reader.tags.count("svg") == 3 + 8
    )  # of the study, and full, pld, shallow, random, tuned and three sampled ones, one rejected


def test_what_a_user_wrote_is_escaped_everywhere(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>&$\\"
    study = Folder(tmp_path / "evil", name=evil, systems=[evil], reference=evil)
    what = experiment(schedule(evil))
    study.run(study.ask(what, evil), what, 5.4)
    sampled = study.ask(what, None, params={evil: evil})
    study.run(sampled, what, 5.3, end="stopped")
    text = page(view(study.complete()))
    assert "<script" not in text
    assert "script" not in read(text).tags
    assert evil in "".join(read(text).text)


def test_a_study_without_a_finished_run_has_a_page(tmp_path: Path) -> None:
    study = Folder(tmp_path / "new", systems=["full"], reference="full")
    study.ask(experiment(FULL), "full")
    study.study.close()
    text = " ".join(read(page(view(tmp_path / "new"))).text)
    assert "in progress" in text
    assert "Learning curves" not in text


def test_figures_follow_the_pages_colours(demo_page: str) -> None:
    assert "#010203" not in demo_page
    assert "#040506" not in demo_page
    assert "currentColor" in demo_page
    assert "var(--rule)" in demo_page


def test_the_page_says_where_a_stack_grew(tmp_path: Path) -> None:
    growth = Growth.model_validate({"stages": {"0 %": 3, "50 %": 6}, "weights": "stack", "moments": "copy"})
    folder = Folder(tmp_path / "grow", systems=["full", "stack"], reference="full")
    full = experiment(FULL)
    grown = full.model_copy(update={"growth": growth})
    for what, system in ((full, "full"), (grown, "stack")):
        folder.run(folder.ask(what, system), what, 5.5)
    text = page(view(tmp_path / "grow"))
    assert "3→6 x 96" in text
    assert "3 layers, 6 from step 200 of 400; weights: stack, moments: copy" in text
    assert text.count("layers there are / 6") == 1
