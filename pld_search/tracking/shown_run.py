"""One run in MLflow, and the calls that bring it up to date, in batches and with changes only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pld_search.tracking.mlflow_content import ANSWERS, Content, Point
from pld_search.tracking.mlflow_status import OPEN
from pld_search.tracking.mlflow_store import Store

BATCH = 1000
PARAMS = 100
PARENT = "mlflow.parentRunId"
SEQ = "pld.seq"
"""The tag with the number of a run's events that are shown."""


@dataclass(slots=True)
class ShownRun:
    """The state of one run in MLflow; `fingerprint` describes the files at the last update."""

    run_id: str
    name: str
    status: str
    tags: dict[str, str]
    fingerprint: object = None

    @classmethod
    def of(cls, run: Any) -> ShownRun:
        """Converts a run that a search of MLflow returned."""
        return cls(run.info.run_id, run.info.run_name, run.info.status, dict(run.data.tags))

    @property
    def seq(self) -> int:
        """The number of the run's events that are shown."""
        return int(self.tags.get(SEQ, 0))


def create(store: Store, content: Content, identity: Mapping[str, str]) -> ShownRun:
    """Creates a run with its tags and params, and with the tags of `identity`."""
    tags = {**content.tags, **identity}
    run = store.client.create_run(store.experiment_id, start_time=content.start, tags=tags, run_name=content.name)
    shown = ShownRun(run.info.run_id, content.name, run.info.status, tags)
    log_params(store, shown, content.params)
    return shown


def describe(store: Store, run: ShownRun, content: Content) -> None:
    """Updates changed tags, deletes answers that no longer hold, and updates the name and then the status."""
    from mlflow.entities import RunTag

    changed = {key: value for key, value in content.tags.items() if run.tags.get(key) != value}
    if changed:
        store.client.log_batch(run.run_id, tags=[RunTag(key, value[:5000]) for key, value in changed.items()])
        run.tags.update(changed)
    for key in [key for key in ANSWERS if key in run.tags and key not in content.tags]:  # the study went on
        store.client.delete_tag(run.run_id, key)
        del run.tags[key]
    if run.name != content.name:
        store.client.update_run(run.run_id, name=content.name)
        run.name = content.name
    if run.status == content.status:
        return
    if content.status in OPEN:
        store.client.update_run(run.run_id, status=content.status)
    else:
        store.client.set_terminated(run.run_id, content.status, content.end)
    run.status = content.status


def log_params(store: Store, run: ShownRun, params: Mapping[str, str]) -> None:
    """Logs all params in batches."""
    from mlflow.entities import Param

    items = [Param(key, value) for key, value in sorted(params.items())]
    for start in range(0, len(items), PARAMS):
        store.client.log_batch(run.run_id, params=items[start : start + PARAMS])


def log_points(store: Store, run: ShownRun, points: Sequence[Point], model: str | None = None) -> None:
    """Logs all points in batches; points of a model are also linked to the model."""
    from mlflow.entities import Metric

    metrics = [Metric(point.key, point.value, point.time, point.step, model_id=model) for point in points]
    for start in range(0, len(metrics), BATCH):
        store.client.log_batch(run.run_id, metrics=metrics[start : start + BATCH])
