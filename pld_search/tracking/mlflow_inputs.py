"""A run's inputs and outputs in MLflow's terms: corpora and tasks as datasets with their digests, and the last
checkpoint of a finished run as a logged model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pld_search.records.events import CheckpointWritten, RunEvent, RunFinished
from pld_search.records.run_record import surviving
from pld_search.records.study_record import StudyRecord
from pld_search.tracking.mlflow_store import Store

MODEL = "pld.model"
"""The tag of a run that holds the id of its logged model."""
_CONTEXT = "mlflow.data.context"
_DIGEST, _NAME = 32, 400
"""Maximum number of characters of a digest and of a name; MLflow accepts 36 and 500."""
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class DatasetUsed:
    """A corpus or a task; `context` is its purpose, `source` and `profile` are JSON text."""

    name: str
    digest: str
    kind: str
    source: str
    profile: str
    context: str


def datasets(study: StudyRecord) -> list[DatasetUsed]:
    """Returns the corpus and the tasks of a prepared study; empty before the study is prepared."""
    prepared = study.prepared
    if prepared is None or "corpus" not in prepared.corpus:
        return []
    train = _train(study)
    corpus = DatasetUsed(
        name=_words(train)[:_NAME],
        digest=_short(prepared.corpus["corpus"]),
        kind="hugging_face" if isinstance(train, Mapping) and "hub" in train else "local",
        source=json.dumps({"train": train}),
        profile=json.dumps(prepared.statistics),
        context="pre-training",
    )
    tasks = [
        DatasetUsed(
            name=f"{task['suite']}/{task['name']}",
            digest=_short(task["digest"]),
            kind="local",
            source=json.dumps({"task": task["name"]}),
            profile=json.dumps({key: task[key] for key in ("kind", "labels", "metrics") if key in task}),
            context="fine-tuning",
        )
        for task in prepared.tasks
    ]
    return [corpus, *tasks]


def _train(study: StudyRecord) -> Any:
    data = study.definition.experiment_of(None).get("data")
    return data.get("train") if isinstance(data, Mapping) else None


def _words(train: Any) -> str:
    """Names the training data: `pubmed/*.jsonl.zst`, `org/name`, `demo`."""
    if isinstance(train, Mapping):
        train = train.get("text") or train.get("hub")
    return ", ".join(str(each) for each in train) if isinstance(train, list | tuple) else str(train or "corpus")


def _short(digest: str) -> str:
    return str(digest).removeprefix("sha256:")[:_DIGEST]


def log_datasets(store: Store, run_id: str, used: Sequence[DatasetUsed]) -> None:
    """Logs the datasets of a run; logging twice changes nothing."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    if not used:
        return
    inputs = [
        DatasetInput(
            Dataset(each.name, each.digest, each.kind, each.source, profile=each.profile),
            [InputTag(_CONTEXT, each.context)],
        )
        for each in used
    ]
    store.client.log_inputs(run_id, datasets=inputs)


def last_checkpoint(events: Sequence[RunEvent]) -> CheckpointWritten | None:
    """Returns the checkpoint of the last step of a finished run; None before the run has finished."""
    kept = surviving(events)
    if not any(isinstance(event, RunFinished) for event in kept):
        return None
    return next((event for event in reversed(kept) if isinstance(event, CheckpointWritten)), None)


def log_model(store: Store, run_id: str, name: str, place: str, step: int, params: Mapping[str, str]) -> str:
    """Creates a logged model for the checkpoint at `place` and links it to its run and step; returns the model's id.
    The weights are not copied.
    """
    from mlflow.entities import LoggedModelOutput

    model = store.client.create_logged_model(
        store.experiment_id,
        name=_NO_NAME.sub("-", name).strip("-"),
        source_run_id=run_id,
        tags={"checkpoint": place},
        params={key: value for key, value in params.items() if key.startswith(("model.", "schedule."))},
        model_type="encoder",
    )
    store.client.finalize_logged_model(model.model_id, "READY")
    store.client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step)])
    return str(model.model_id)
