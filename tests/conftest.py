"""The order of files: two run at a time, so the longest ones begin first and none is left alone at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

LONGEST = (
    "training/test_ranks.py",
    "test_readme.py",
    "test_tutorial.py",
    "training/test_rank_kills.py",
    "training/test_resume.py",
    "training/test_recovery.py",
    "training/test_grow.py",
    "search/test_promotion_kills.py",
    "pretraining/test_objectives_on_ranks.py",
    "test_sockets.py",
    "bench/test_bench.py",
    "cli/test_run.py",
    "training/test_language.py",
    "test_two_ranks.py",
    "app/test_calibrate_study.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    rank = {here / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))
