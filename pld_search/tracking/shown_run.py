"""One run as MLflow has it, and the calls that bring it up to what it should show: in batches, only what changed."""

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
"""The tag that says how many events of a run are shown."""


@dataclass(slots=True)
class ShownRun:
    """What MLflow already has of one run; `fingerprint` is what the files were like when it was last looked at."""

    run_id: str
    name: str
    status: str
    tags: dict[str, str]
    fingerprint: object = None

    @classmethod
    def of(cls, run: Any) -> ShownRun:
        """A run as a search of MLflow returns it."""
        return cls(run.info.run_id, run.info.run_name, run.info.status, dict(run.data.tags))

    @property
    def seq(self) -> int:
        """The events of the run that are shown."""
        return int(self.tags.get(SEQ, 0))


def create(store: Store, content: Content, identity: Mapping[str, str]) -> ShownRun:
    """A new run with its tags and params, those of `identity` besides."""
    tags = {**content.tags, **identity}
    run = store.client.create_run(store.experiment_id, start_time=content.start, tags=tags, run_name=content.name)
    shown = ShownRun(run.info.run_id, content.name, run.info.status, tags)
    log_params(store, shown, content.params)
    return shown


def describe(store: Store, run: ShownRun, content: Content) -> None:
    """Tags that changed, answers that no longer hold, the name, then the status."""
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
    """All params, in batches."""
    from mlflow.entities import Param

    items = [Param(key, value) for key, value in sorted(params.items())]
    for start in range(0, len(items), PARAMS):
        store.client.log_batch(run.run_id, params=items[start : start + PARAMS])


def log_points(store: Store, run: ShownRun, points: Sequence[Point], model: str | None = None) -> None:
    """All points, in batches; those of a model are linked to it, too."""
    from mlflow.entities import Metric

    metrics = [Metric(point.key, point.value, point.time, point.step, model_id=model) for point in points]
    for start in range(0, len(metrics), BATCH):
        store.client.log_batch(run.run_id, metrics=metrics[start : start + BATCH])
