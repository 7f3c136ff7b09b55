"""Saved views of an experiment in the format of MLflow's own UI: the runs, columns, order and charts of a view.

MLflow does not document the format. This module writes the same as the UI of 3.17 writes when a user saves a view: a
tag `mlflow.sharedViewState.ID` of the experiment with an envelope {name, createdAt, updatedAt, state}. The state is the
JSON of the view's search facets, table and charts, deflated and in base64. A UI that does not understand it says so and
shows its default view. tests/tracking/test_browser.py opens it in a browser.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pld_search.tracking.mlflow_content import DIFFERENCE, LEVEL

TAG = "mlflow.sharedViewState."
SHARE_KEY = "viewStateShareKey"
"""The URL parameter that names the view to open."""
SYSTEMS, SEEDS = "systems", "seeds"
_COLUMNS = ("system", "schedule")
_SECTION = "pld-search"
Json = dict[str, Any]


def view_tags(primary: str, scores: Sequence[str], created: int) -> dict[str, str]:
    """Returns the tags of both views, one for configurations and one for the runs of every seed.

    primary: the metric that sorts and judges rows. scores: the averages of the task suites. created: milliseconds.
    """
    named = {SYSTEMS: ("Systems (means over seeds)", "configuration"), SEEDS: ("Every seed", "seed")}
    return {TAG + key: _envelope(name, created, _state(primary, scores, level)) for key, (name, level) in named.items()}


def _envelope(name: str, created: int, state: Json) -> str:
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    return json.dumps({"name": name, "createdAt": created, "updatedAt": created, "state": f"deflate;{packed}"})


def _state(primary: str, scores: Sequence[str], level: str) -> Json:
    """Returns the state that the UI reads: search facets, columns and charts."""
    metrics = [primary, *([DIFFERENCE + primary] if level == "configuration" else []), *scores, "saved/flops"]
    metrics += ["speed/relative", "speed/tokens_per_second", "divergence/diverged"]
    columns = [f"tags.`{name}`" for name in (*_COLUMNS, "verdict", "state")]
    columns[2:2] = [f"metrics.`{name}`" for name in metrics]
    cards = [{**card, "uuid": f"pld-{number}"} for number, card in enumerate(_cards(primary, scores))]
    return {
        "searchFilter": f"tags.{LEVEL} = '{level}'",
        "orderByKey": f"metrics.`{primary}`",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "columnOrder": columns,
        "runsHiddenMode": "FIRST_20_RUNS",
        "compareRunCharts": cards,
        "compareRunSections": [
            {"uuid": _SECTION, "name": "Comparison", "display": True, "isReordered": True, "deleted": False}
        ],
        "isAccordionReordered": True,
    }


def _cards(primary: str, scores: Sequence[str]) -> Iterator[Json]:
    """Yields charts: loss over FLOPs and over seconds, layers kept over steps, and bars of scores and losses at the
    end.
    """
    yield _line(primary, "over TFLOP", "progress/tflop")
    yield _line(primary, "over seconds", "progress/seconds")
    yield _line("train/loss", "over TFLOP", "progress/tflop")
    yield _line("drop/layers_kept", "over steps", None)
    for name in (primary, *scores):
        yield {**_card("BAR", name, name), "dataAccessKey": name}


def _line(metric: str, over: str, against: str | None) -> Json:
    axis = {"xAxisKey": "step"} if against is None else {"xAxisKey": "metric", "selectedXAxisMetricKey": against}
    return {
        **_card("LINE", metric, f"{metric} {over}"),
        "selectedMetricKeys": [metric],
        "selectedXAxisMetricKey": "",
        **axis,
        "useGlobalXaxisKey": False,
        "useGlobalLineSmoothing": False,
        "lineSmoothness": 0,
        "scaleType": "linear",
        "xAxisScaleType": "linear",
        "range": {},
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "ignoreOutliers": False,
    }


def _card(kind: str, metric: str, title: str) -> Json:
    return {
        "type": kind,
        "runsCountToCompare": 20,
        "metricSectionId": _SECTION,
        "deleted": False,
        "isGenerated": False,
        "displayName": title,
        "metricKey": metric,
    }


def view_path(experiment_id: str, view: str = SYSTEMS) -> str:
    """Returns the URL path of a view below the UI's address; in the UI's part for model training, not for traces."""
    return f"/#/experiments/{experiment_id}/runs?{SHARE_KEY}={view}&workflowType=machine_learning"


def view_of(tag: str) -> Mapping[str, Any]:
    """Decodes the state in the value of a tag, as the UI reads it."""
    state: str = json.loads(tag)["state"]
    found: Mapping[str, Any] = json.loads(zlib.decompress(base64.b64decode(state.removeprefix("deflate;"))))
    return found
