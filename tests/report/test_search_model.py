"""What the report says of a search's model: from records alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pld_search.api.results import read
from pld_search.records.study_record import view
from pld_search.report import search_model
from pld_search.report.drawing.svg_shapes import Box
from pld_search.report.page import page
from pld_search.report.page_facts import PageFacts
from pld_search.report.sections import predicted_ends, what_matters
from pld_search.report.write_report import as_json
from tests.search.test_stop_trials import LEARNED, searched


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of eight trials with a model, by the fake trainer."""
    place = tmp_path_factory.mktemp("learned")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FAKE_DIVERGE", raising=False)
        searched(place, LEARNED, sets=("search.sampler=gp", "search.trials=8"))
    return place / "small"


def test_predictions_stand_beside_their_ends(folder: Path) -> None:
    study = view(folder).study
    found = search_model.predictions(study)
    assert found
    for each in found:
        trial = study.trials[each.trial]
        assert trial.told is not None
        assert trial.told.values == [each.end]
        assert trial.predicted[each.rung - trial.predicted[0].rung].mean == each.mean
    calibrated = read(folder).calibration
    assert calibrated is not None
    assert calibrated.n == len(found)


def test_page_json_and_python_say_the_same(folder: Path) -> None:
    seen, known = view(folder), read(folder)
    facts = PageFacts.of(seen)
    text, data = page(facts), json.loads(json.dumps(as_json(facts)))["search"]
    assert known.explained is not None
    assert data["explained"]["parameters"][0]["name"] == "optimizer.lr" == known.explained.parameters[0]["name"]
    assert data["calibration"]["n"] == len(data["predictions"])
    for key, title in (("predicted", "Predictions of the search"), ("matters", "What matters")):
        assert f'<section id="{key}"><h2>{title}</h2>' in text
    drawn = [*predicted_ends.pictures(facts), *what_matters.pictures(facts)]
    assert [each.name for each in drawn] == ["predicted", "importance", "dependence-0"]
    for each in drawn:
        boxes = [found.box for found in each.texts()]
        assert not any(one.overlaps(other) for place, one in enumerate(boxes) for other in boxes[:place])
        assert all(box.inside(Box(0, 0, each.width, each.height)) for box in boxes)


def test_a_study_without_a_search_says_nothing(folder: Path) -> None:
    empty = view(folder / "nowhere")
    assert predicted_ends.body(PageFacts.of(empty)) is what_matters.body(PageFacts.of(empty)) is None
    assert search_model.lines(empty.study) == []
    assert search_model.as_json(empty.study) == {"predictions": [], "calibration": None, "explained": None}
