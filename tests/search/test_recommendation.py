"""The recommended winner: the least mean of a model, recorded once for the same data."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from pld_search.records.study_events import (
    SearchRecommended,
    StudyCreated,
    TrialAsked,
    TrialTold,
    read_study_events,
)
from pld_search.records.study_record import view
from pld_search.records.winner import winner
from pld_search.search.ledger import Ledger
from pld_search.search.recommendation import Recommender
from pld_search.spaces.study import Study
from tests.search.in_process import InProcess
from tests.search.studies import run, small_study

SEARCH = "search: {trials: TRIALS, seed: 0}\nconfirm: {top: 1, seeds: 2}\n"
LUCKY = 2


def recommended(folder: Path) -> list[SearchRecommended]:
    return [event for event in read_study_events(folder / "study.jsonl") if isinstance(event, SearchRecommended)]


def recorded(ledger: Ledger, study: Study, starts: int | None = 5) -> None:
    """Twelve trials on a valley in the logarithm of the rate, least at 1e-3; one is lucky."""
    ledger.write(StudyCreated(id="x", name="small", definition=study.definition(), starts=starts))
    noise = 0.05 * np.random.default_rng(0).standard_normal(12)
    for number in range(12):
        exponent = -4 + 2 * number / 11
        value = 4.9 if number == LUCKY else 5 + (exponent + 3) ** 2 + float(noise[number])
        ledger.write(TrialAsked(number, "sampled", None, "s", number, {"optimizer.lr": 10**exponent}, seeds=[0]))
        ledger.write(TrialTold(number, "COMPLETE", [value], {"divergence/diverged": 0.0}))


def test_a_lucky_seed_is_not_recommended(tmp_path: Path) -> None:
    study = small_study(tmp_path, SEARCH.replace("TRIALS", "12"))
    with closing(Ledger(tmp_path / "small")) as ledger:
        recorded(ledger, study)
        for _ in range(2):  # twice the same data: one record
            Recommender(ledger, study).recommend()
    (found,) = recommended(tmp_path / "small")
    assert found.by == "model"
    assert found.trial == found.ranking[0]
    assert found.trial in (4, 5, 6, 7)  # the least value is that of trial 2
    assert len(found.predicted) == len(found.ranking) == 12
    means = {each["trial"]: each["mean"] for each in found.predicted}
    assert min(means, key=lambda trial: means[trial]) == found.trial
    assert all(each["sd"] > 0 for each in found.predicted)


def test_new_data_are_a_new_recommendation_and_an_old_study_has_none(tmp_path: Path) -> None:
    study = small_study(tmp_path, SEARCH.replace("TRIALS", "13"))
    for name, starts, count in (("old", None, 0), ("new", 5, 2)):
        with closing(Ledger(tmp_path / name)) as ledger:
            recorded(ledger, study, starts)
            Recommender(ledger, study).recommend()
            ledger.write(TrialAsked(12, "sampled", None, "s", 12, {"optimizer.lr": 2e-3}, seeds=[0]))
            ledger.write(TrialTold(12, "COMPLETE", [4.9], {"divergence/diverged": 0.0}))
            Recommender(ledger, study).recommend()
        assert len(recommended(tmp_path / name)) == count


@pytest.mark.parametrize(("trials", "by"), [(3, "least value"), (7, "model")])
def test_what_is_recommended_is_confirmed_and_leads(tmp_path: Path, trials: int, by: str) -> None:
    study, folder = small_study(tmp_path, SEARCH.replace("TRIALS", str(trials))), tmp_path / "small"
    for _ in range(2):  # the second time nothing is left to do
        assert run(study, folder, slots=1, launcher=InProcess(), poll=0) == 0
    (found,) = recommended(folder)
    assert (found.by, found.reason is None) == (by, by == "model")
    study_record = view(folder).study
    confirmed = [trial.number for trial in study_record.trials.values() if trial.confirming]
    assert confirmed == [found.trial]
    won = winner(study_record)
    assert won is not None
    assert won.trial == found.trial
