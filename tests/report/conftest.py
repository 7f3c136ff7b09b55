from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.records.study_record import view
from pld_search.report.page_facts import PageFacts
from tests.report.searched import searched
from tests.report.studies import demo_like


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo-like study's folder; tests only read it."""
    return demo_like(tmp_path_factory.mktemp("runs") / "demo")


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> PageFacts:
    """A search of twelve trials beside eight systems with long names, compared; tests only read it."""
    return PageFacts.of(view(searched(tmp_path_factory.mktemp("runs") / "searched", trials=12)))


@pytest.fixture(scope="session")
def small(demo: Path) -> PageFacts:
    """The demo-like study, compared."""
    return PageFacts.of(view(demo))
