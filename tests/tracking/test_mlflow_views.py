"""The saved views, as values; that MLflow's UI understands them is for test_browser.py."""

from __future__ import annotations

import json
from pathlib import Path

from pld_search.tracking.mlflow_store import Store, open_store
from pld_search.tracking.mlflow_views import SEEDS, SYSTEMS, TAG, view_of, view_path, view_tags


def test_the_state_of_a_view() -> None:
    tags = view_tags("test/loss", ["glue/average"], 1000)
    assert set(tags) == {TAG + SYSTEMS, TAG + SEEDS}
    envelope = json.loads(tags[TAG + SYSTEMS])
    assert (envelope["name"], envelope["createdAt"]) == ("Systems (means over seeds)", 1000)
    state = view_of(tags[TAG + SYSTEMS])
    assert state["searchFilter"] == "tags.level = 'configuration'"
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`test/loss`", True)
    assert {"metrics.`difference/test/loss`", "metrics.`glue/average`", "tags.`verdict`"} <= set(
        state["selectedColumns"]
    )
    cards = [
        (card["type"], card["metricKey"], card.get("selectedXAxisMetricKey")) for card in state["compareRunCharts"]
    ]
    assert ("LINE", "test/loss", "progress/tflop") in cards and ("BAR", "glue/average", None) in cards
    assert len({card["uuid"] for card in state["compareRunCharts"]}) == len(cards)
    assert "difference" not in json.dumps(view_of(tags[TAG + SEEDS]))


def test_a_view_that_a_user_changed_stays(store: Store, runs: Path) -> None:
    own = open_store(None, runs, "viewed", "viewed-id")
    own.show_views({TAG + SYSTEMS: "first"})
    own.client.set_experiment_tag(own.experiment_id, TAG + SYSTEMS, "mine")
    own.show_views({TAG + SYSTEMS: "second", TAG + SEEDS: "third"})
    tags = store.client.get_experiment(own.experiment_id).tags
    assert (tags[TAG + SYSTEMS], tags[TAG + SEEDS]) == ("mine", "third")


def test_the_address_opens_model_training() -> None:
    path = view_path("7")
    assert path == "/#/experiments/7/runs?viewStateShareKey=systems&workflowType=machine_learning"
