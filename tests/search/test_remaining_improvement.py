"""What is left to gain: on functions where that is known, and as the end of a search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pld_search.cli.status import _left_over
from pld_search.records.study_events import SearchAssessed, read_study_events
from pld_search.records.study_record import view
from pld_search.search.gaussian_process import GaussianProcess
from pld_search.search.observed_runs import Observed
from pld_search.search.remaining_improvement import left_over
from tests.search.in_process import InProcess
from tests.search.studies import run, small_study

UNTIL = "search: {trials: 30, seed: 0, until: {regret: 0.01, confidence: 80 %}}\n"


def test_much_is_left_of_a_function_that_was_hardly_seen_and_little_of_a_known_one() -> None:
    grid = np.linspace(0, 1, 41)[:, None]
    values = (3 * (grid[:, 0] - 0.6)) ** 2
    few, many = np.array([0, 4, 8, 12, 16]), np.arange(0, 41, 2)
    left = {}
    for name, seen in (("few", few), ("many", many)):
        model = GaussianProcess(Observed.ends(grid[seen], values[seen]))
        left[name] = left_over(model, grid[seen], grid)
    truth = values[few].min() - values.min()
    assert left["many"][0].mean() < 0.02 < 0.3 * truth < left["few"][0].mean()
    assert left["many"][1] < 0.1 * left["few"][1]
    assert left["few"][0].min() >= 0


def assessed(folder: Path) -> list[SearchAssessed]:
    return [event for event in read_study_events(folder / "study.jsonl") if isinstance(event, SearchAssessed)]


def test_a_search_ends_when_enough_is_known_and_stays_ended(tmp_path: Path) -> None:
    study, folder = small_study(tmp_path, UNTIL), tmp_path / "small"
    assert run(study, folder, slots=1, launcher=InProcess(), poll=0) == 0
    trials = view(folder).study.trials
    assert 5 <= len(trials) < 30
    found = assessed(folder)
    assert [each.enough for each in found] == [False] * (len(found) - 1) + [True]
    for each in found:
        assert each.confidence is not None
        assert each.enough == (each.confidence >= 0.8)
    (first, second) = _left_over(view(folder).study)
    assert "TFLOP" not in first or "for" in first
    assert "at most 0.01 is left" in second
    assert run(study, folder, slots=1, launcher=InProcess(), poll=0) == 0
    assert assessed(folder) == found
    assert len(view(folder).study.trials) == len(trials)


@pytest.mark.parametrize("trials", [3, 6])
def test_without_terms_it_is_said_at_the_end(tmp_path: Path, trials: int) -> None:
    study, folder = small_study(tmp_path, f"search: {{trials: {trials}, seed: 0}}\n"), tmp_path / "small"
    assert run(study, folder, slots=1, launcher=InProcess(), poll=0) == 0
    found = assessed(folder)
    assert len(found) == (trials >= 5)
    assert all(each.confidence is None and not each.enough for each in found)
    assert len(list(_left_over(view(folder).study))) == len(found)
