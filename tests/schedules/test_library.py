"""The shipped schedules: each loads, says what it is and where it comes from, and explains every key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pld_search.errors import ConfigError
from pld_search.schedules import library
from pld_search.schedules.schedule import Schedule

SHIPPED = [
    "cosine",
    "dd-only",
    "decreasing-drop",
    "full",
    "growth-without-sampling",
    "layerdrop",
    "layerskip",
    "linear",
    "notrainnogain-pld",
    "pld",
    "pld-deepspeed",
    "polynomial",
    "random",
    "raptr",
    "td-only",
    "td-only-literal",
]
SOLVED = ("random", "td-only")
# At u = 0, 1/4, 1/2, 3/4 and 1 of 200,000 steps and 12 layers, by hand: theta, p of layers 1, 6 and 12, and the
# expected layers.
BY_HAND: dict[str, list[tuple[float, float, float, float, float]]] = {
    "full": [(1.0, 1.0, 1.0, 1.0, 12.0)] * 5,
    "pld": [(1.0, 1.0, 1.0, 1.0, 12.0), *[(0.5, 1 - 0.5 / 12, 0.75, 0.5, 8.75)] * 4],
    "notrainnogain-pld": [(1.0, 1.0, 1.0, 1.0, 12.0), *[(0.5, 1 - 0.5 / 12, 0.75, 0.5, 8.75)] * 4],
    "dd-only": [(0.5, 1 - 0.5 / 12, 0.75, 0.5, 8.75)] * 5,
    "td-only-literal": [(1.0, 1.0, 1.0, 1.0, 12.0), *[(0.5, 0.5, 0.5, 0.5, 6.0)] * 4],
    "pld-deepspeed": [(1.0, 1.0, 1.0, 1.0, 12.0), *[(0.5, 1.0, 1 - 0.5 * 5 / 12, 1 - 0.5 * 11 / 12, 9.25)] * 4],
    "layerdrop": [(0.8, 0.8, 0.8, 0.8, 9.6)] * 5,
    "linear": [(t, 1 - (1 - t) / 12, 1 - (1 - t) / 2, t, 12 - 6.5 * (1 - t)) for t in (1.0, 0.875, 0.75, 0.625, 0.5)],
    "cosine": [
        (t, 1 - (1 - t) / 12, 1 - (1 - t) / 2, t, 12 - 6.5 * (1 - t))
        for t in (1.0, 0.75 + 0.25 * 0.5**0.5, 0.75, 0.75 - 0.25 * 0.5**0.5, 0.5)
    ],
    "polynomial": [
        (t, 1 - (1 - t) / 12, 1 - (1 - t) / 2, t, 12 - 6.5 * (1 - t))
        for t in (1.0, 0.5 + 0.5 * (3 / 4) ** 9, 0.5 + 0.5 / 2**9, 0.5 + 0.5 / 4**9, 0.5)
    ],
    "decreasing-drop": [
        (t, 1.0, 1 - (1 - t) * 5 / 11, t, 12 - 6 * (1 - t)) for t in (0.25, 0.4375, 0.625, 0.8125, 1.0)
    ],
    "layerskip": [
        (
            1 - 0.1 * g,
            1.0,
            1 - 0.1 * g * (2 ** (5 / 11) - 1),
            1 - 0.1 * g,
            12 - 0.1 * g * sum(2 ** (i / 11) - 1 for i in range(12)),
        )
        for g in (0.0, 2**0.25 - 1, 2**0.5 - 1, 2**0.75 - 1, 1.0)
    ],
    "raptr": [
        (0.4, 1.0, 0.4, 1.0, 6.0),
        (0.6, 1.0, 0.6, 1.0, 8.0),
        (0.8, 1.0, 0.8, 1.0, 10.0),
        *[(1.0, 1.0, 1.0, 1.0, 12.0)] * 2,
    ],
    "growth-without-sampling": [
        *[(0.25, 1.0, 0.0, 0.0, 3.0)] * 2,
        (0.5, 1.0, 1.0, 0.0, 6.0),
        *[(1.0, 1.0, 1.0, 1.0, 12.0)] * 2,
    ],
}


def _tree(name: str) -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load(library.path_of(name).read_text())
    return tree


def test_the_names() -> None:
    assert library.names() == sorted(library.names())
    assert library.names() == SHIPPED
    assert library.shipped("schedules")["pld"] == library.path_of("pld")


@pytest.mark.parametrize("name", SHIPPED)
def test_every_file_is_explained(name: str) -> None:
    text, tree = library.path_of(name).read_text(), _tree(name)
    assert tree["name"] == name
    assert tree["about"]
    assert tree["source"]
    assert text.startswith("# yaml-language-server: $schema=../schemas/schedule.json\n# ")
    for line in text.splitlines():
        key = line.split(":")[0].strip()
        if key in (
            "temporal",
            "depth",
            "rescale",
            "skipped",
            "value",
            "start",
            "end",
            "rate",
            "lag",
            "power",
            "index",
            "always",
            "per",
            "strata",
        ):
            bare = line.rstrip().endswith(f"{key}:") or "#" in line or name in ("full", "growth-without-sampling")
            assert bare, f"{name}: {line!r} has no comment"


@pytest.mark.parametrize("name", [name for name in SHIPPED if name not in SOLVED])
def test_literal_files_are_schedules(name: str) -> None:
    assert Schedule.model_validate(_tree(name)).name == name


@pytest.mark.parametrize("name", [name for name in SHIPPED if name not in SOLVED])
def test_five_points_by_hand(name: str) -> None:
    made, total = Schedule.model_validate(_tree(name)), 200_000
    rows = BY_HAND[name]
    assert len(rows) == 5
    for quarter, (theta, first, sixth, last, layers) in enumerate(rows):
        step = total * quarter // 4
        p = made.keep_probabilities(step, total, 12)
        assert float(made.theta(step, total)) == pytest.approx(theta, abs=1e-9)
        assert p[[0, 5, 11]].tolist() == pytest.approx([first, sixth, last], abs=1e-9)
        assert p.sum() == pytest.approx(layers, abs=1e-8)


def test_an_unknown_name_has_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"did you mean td-only\?") as caught:
        library.path_of("td-onyl")
    assert "pld" in str(caught.value)


def test_a_wheel_carries_its_own_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "pld_search"
    for folder in (package / "_shipped" / "schedules", tmp_path / "site-packages" / "schedules"):
        folder.mkdir(parents=True)
    (package / "_shipped" / "schedules" / "mine.yaml").write_text("name: mine\n")
    (tmp_path / "site-packages" / "schedules" / "foreign.yaml").write_text("name: foreign\n")
    monkeypatch.setattr(library, "_PACKAGE", package)
    assert library.names() == ["mine"]
