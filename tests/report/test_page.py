from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pld_search.records.study_record import view
from pld_search.report import page_facts
from pld_search.report.drawing.svg_shapes import Group
from pld_search.report.page import page
from pld_search.report.page_facts import PageFacts
from pld_search.report.sections import every_run, searched_space
from pld_search.specs.growth import Growth
from tests.report.searched import searched
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
    return page(PageFacts.of(view(demo)))


def test_the_page_is_well_formed_and_loads_nothing(demo_page: str) -> None:
    reader = read(demo_page)
    assert reader.loads
    assert all(load.startswith(("#", "data:image/png;base64,")) for load in reader.loads)
    assert not {"link", "iframe", "object", "embed", "img"} & set(reader.tags)
    assert reader.tags.count("script") == 1
    assert not re.search(r"@import|url\(\s*['\"]?(?!#)|fetch\(|XMLHttpRequest|https?://", demo_page)
    assert len(demo_page) < 1_000_000


def test_ids_are_unique_over_all_figures(demo_page: str) -> None:
    ids = read(demo_page).ids
    assert len(ids) > 8
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
    # two of differences, of cost and of curves, one of the frontier and of what was searched, and eight schedules
    assert reader.tags.count("svg") == 2 + 2 + 2 + 1 + 1 + 8


def test_what_a_user_wrote_is_escaped_everywhere(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>&$\\"
    study = Folder(tmp_path / "evil", name=evil, systems=[evil], reference=evil)
    what = experiment(schedule(evil))
    study.run(study.ask(what, evil), what, 5.4)
    sampled = study.ask(what, None, params={evil: evil})
    study.run(sampled, what, 5.3, end="stopped")
    text = page(PageFacts.of(view(study.complete())))
    assert text.count("<script") == 1
    assert read(text).tags.count("script") == 1
    assert evil in "".join(read(text).text)


def test_a_study_without_a_finished_run_has_a_page(tmp_path: Path) -> None:
    study = Folder(tmp_path / "new", systems=["full"], reference="full")
    study.ask(experiment(FULL), "full")
    study.study.close()
    text = " ".join(read(page(PageFacts.of(view(tmp_path / "new")))).text)
    assert "in progress" in text
    assert "Learning curves" not in text


def test_figures_follow_the_pages_colours(demo_page: str) -> None:
    drawn = "".join(re.findall(r"<svg.*?</svg>", demo_page))
    assert "currentColor" in drawn
    assert "var(--rule)" in drawn
    assert "NaN" not in drawn


def test_every_picture_says_in_words_what_it_shows(demo_page: str) -> None:
    heads = re.findall(r"<svg[^>]*>", demo_page)
    assert heads
    assert all(re.search(r'role="img" aria-label="[^"]{30,}"', head) for head in heads)


def test_a_folded_section_is_closed_and_named(demo_page: str) -> None:
    folded = re.findall(r"<details><summary><h2>([^<]+)</h2>", demo_page)
    assert folded == ["Every run", "Provenance"]
    assert re.findall(r'<a href="#([a-z]+)"', demo_page) == re.findall(r'<section id="([a-z]+)"', demo_page)


def test_a_loss_above_the_unigram_entropy_is_red_and_waivers_are_shown(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "bad", systems=["full"], reference="full", waive={"depth": "a size of its own"})
    what = experiment(FULL)
    folder.run(folder.ask(what, "full"), what, 6.2)
    text = page(PageFacts.of(view(folder.complete())))
    assert '<td class="bad-text">6.200' in text
    assert "Above the unigram entropy, so nothing was learnt but word frequencies: full." in text
    assert "<strong>depth</strong>: a size of its own" in text


def test_the_page_says_where_a_stack_grew(tmp_path: Path) -> None:
    growth = Growth.model_validate({"stages": {"0 %": 3, "50 %": 6}, "weights": "stack", "moments": "copy"})
    folder = Folder(tmp_path / "grow", systems=["full", "stack"], reference="full")
    full = experiment(FULL)
    grown = full.model_copy(update={"growth": growth})
    for what, system in ((full, "full"), (grown, "stack")):
        folder.run(folder.ask(what, system), what, 5.5)
    text = page(PageFacts.of(view(tmp_path / "grow")))
    assert "3→6 x 96" in text
    assert "3 layers, 6 from step 200 of 400; weights: stack, moments: copy" in text
    assert text.count("dashed: layers there are") == 1


def test_the_majority_class_is_a_line_below_the_scores(tmp_path: Path) -> None:
    task = {"suite": "demo", "name": "period", "majority": {"accuracy": 0.56}}
    folder = Folder(tmp_path / "scored", tasks=[task], systems=["full"], reference="full")
    what = experiment(FULL)
    folder.run(folder.ask(what, "full"), what, 5.4, demo__period__accuracy=0.61, demo__average=0.61)
    text = page(PageFacts.of(view(folder.complete())))
    line = re.search(r'<tr class="line">(.*?)</tr>', text)
    assert line is not None
    assert re.sub(r"<[^>]+>", " ", line.group(1)).split()[-2:] == ["0.560", "0.560"]


def test_the_page_of_a_long_search_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((page_facts, "MOST_SAMPLED"), (searched_space, "MOST"), (every_run, "MOST")):
        monkeypatch.setattr(module, name, 5)
    facts = page_facts.PageFacts.of(view(searched(tmp_path / "long", trials=12)))
    text = page(facts)
    assert "7 more sampled rows stand in report.csv." in text
    assert len(facts.runs) == 8 * 3 + 12
    assert "31 more runs stand in report.csv." in text
    (drawn,) = searched_space.pictures(facts)
    assert len([shape for shape in drawn.shapes if isinstance(shape, Group)]) <= 5
