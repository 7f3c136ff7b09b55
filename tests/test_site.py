"""The pages that `make docs` makes a site of: every page is in the navigation, every link and every anchor leads
somewhere, every name of the reference exists. mkdocs itself is not needed here.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.site_pages import LINK, REFERENCE, write

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "pages"
    write(out)
    return out


def named(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [page for part in parts for page in named(part)]


def anchors(text: str) -> set[str]:
    """As Python-Markdown makes them of headings; a second one of the same words has _1 behind it."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#+ +(.+)$", re.sub(r"(?s)```.*?```", "", text), re.MULTILINE):
        plain = re.sub(r"[^\w\s-]", "", LINK.sub(r"\1", heading)).strip().lower()
        slug = re.sub(r"[-\s]+", "-", plain)
        found[slug] = found.get(slug, -1) + 1
    return {slug if number == 0 else f"{slug}_{number}" for slug, count in found.items() for number in range(count + 1)}


def test_the_navigation_names_pages_that_are_there(site: Path) -> None:
    """A page that it does not name is found by search and by links; `mkdocs build` lists it."""
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    nav = named(settings["nav"])
    assert len(nav) > 10 and len(nav) == len(set(nav))
    assert [name for name in settings["extra_css"] if not (site / name).is_file()] == []
    assert [page for page in nav if not (site / page).is_file()] == []


def test_links_and_anchors_lead_somewhere(site: Path) -> None:
    checked, wrong = 0, []
    for path in site.rglob("*.md"):
        for _, target, anchor in LINK.findall(re.sub(r"(?s)```.*?```", "", path.read_text())):
            if "://" in target:
                continue
            to, checked = (path.parent / target).resolve() if target else path, checked + 1
            if not to.is_file() or (anchor and anchor[1:] not in anchors(to.read_text())):
                wrong.append(f"{path.name}: {target}{anchor}")
    assert checked > 40
    assert wrong == []


@pytest.mark.parametrize("name", [name for names in REFERENCE.values() for name in names])
def test_the_reference_names_what_there_is(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    assert hasattr(importlib.import_module(module), attribute)
