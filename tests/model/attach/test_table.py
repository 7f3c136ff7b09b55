"""Compute is really saved, as much as the forecast says, and docs/attach.md has the figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.model.attach.architectures import ARCHITECTURES, LAYERS, Architecture
from tests.model.attach.table import HEAD, STEPS, measured, row

PAGE = (Path(__file__).parents[3] / "docs" / "attach.md").read_text()


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_flops_saved_are_the_forecasts(architecture: Architecture) -> None:
    saved, forecast, counted, planned = measured(architecture)
    assert counted == planned  # to the last one, at every step
    assert len(set(counted)) > 1
    # the draw is exact: within one block of the whole run
    assert saved == pytest.approx(forecast, abs=1 / (STEPS * LAYERS))
    assert row(architecture, saved, forecast) in PAGE


def test_the_table_has_all_of_them() -> None:
    assert HEAD in PAGE
    assert all(f"| {name} |" in PAGE for name in ARCHITECTURES)
