"""The MLflow store: opened once, under a lock, with short network timeouts.

A fresh sqlite store runs its migrations at first use, and two processes that migrate at once destroy it. So the store
is opened under a lock, before any other process uses it. MLflow by default retries for minutes when a server is down;
here one retry and a short timeout hold unless the user's environment says otherwise.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pld_search.host.disk import held

STUDY = "pld.study_id"
"""The tag with the study that an experiment or a run belongs to."""
_SHARED = "pld-search"
"""The experiment in which version 0.1 showed every study."""
# without this tag the UI guesses the kind, and may show traces instead of runs
_KIND = {"mlflow.experimentKind": "custom_model_development"}
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


@dataclass(frozen=True, slots=True)
class Store:
    """An open store: its client and the MLflow experiment of one study."""

    client: Any
    experiment_id: str

    def search(self, query: str) -> list[Any]:
        """Returns every run of the experiment that matches a query."""
        return _found(self.client, self.experiment_id, query)

    def remove(self, run_id: str, model_id: str | None = None) -> None:
        """Deletes a run (a user can restore it) and its model."""
        self.client.delete_run(run_id)
        if model_id is not None:
            self.client.delete_logged_model(model_id)

    def show_views(self, tags: Mapping[str, str]) -> None:
        """Sets missing tags of the experiment; tags that a user changed stay."""
        there = self.client.get_experiment(self.experiment_id).tags
        for key in tags.keys() - there.keys():
            self.client.set_experiment_tag(self.experiment_id, key, tags[key])


def _found(client: Any, experiment_id: str, query: str) -> list[Any]:
    found: list[Any] = []
    token: str | None = None
    while True:
        page = client.search_runs([experiment_id], query, max_results=500, page_token=token)
        found.extend(page)
        token = page.token
        if not token:
            return found


def default_uri(runs: Path) -> str:
    """Returns the URI of the sqlite store beside the studies: `runs/mlflow.db`."""
    return f"sqlite:///{runs.resolve() / 'mlflow.db'}"


def open_store(uri: str | None, runs: Path, study: str, identity: str) -> Store:
    """Opens the store of `uri`, by default `runs/mlflow.db` with artifacts in `runs/mlartifacts`, at the experiment of
    a study; creates the experiment when it is missing. Raises any exception of MLflow.
    """
    local = uri is None or uri.startswith("sqlite:")
    place = (runs.resolve() / "mlartifacts").as_uri() if local else None
    runs.mkdir(parents=True, exist_ok=True)
    with held(runs / "mlflow.lock"):
        _make_whole(uri or default_uri(runs))
        client = connected(uri or default_uri(runs))
        name = experiment_name(client, study, identity)
        found = client.get_experiment_by_name(name)
        if found is None:
            _remove_earlier(client, identity)
            tags = {**_KIND, STUDY: identity}
            return Store(client, client.create_experiment(name, artifact_location=place, tags=tags))
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return Store(client, found.experiment_id)


def _make_whole(uri: str) -> None:
    """Creates a missing sqlite store under a temporary name and renames it when MLflow's migrations have ended. A
    process that is killed during the migrations then leaves no partial store, which no later process could open.
    """
    place = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///") or "?" in uri or place.exists() or not place.parent.is_dir():
        return
    begun = place.with_name(f"{place.name}.begun")
    for left in (begun, begun.with_name(f"{begun.name}-journal")):
        left.unlink(missing_ok=True)
    connected(f"sqlite:///{begun}").search_experiments(max_results=1)
    begun.replace(place)


def connected(uri: str) -> Any:
    """Returns MLflow's client of a store."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow.tracking import MlflowClient  # takes seconds to import: only verbs that mirror pay for it

    for chatty in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(chatty).setLevel(logging.WARNING)  # hides the messages about a new store
    return MlflowClient(tracking_uri=uri)


def experiment_of(uri: str, study: str, identity: str) -> str | None:
    """Returns the id of a study's experiment in a store; None when it was not mirrored. Raises any exception of
    MLflow.
    """
    client = connected(uri)
    found = client.get_experiment_by_name(experiment_name(client, study, identity))
    return None if found is None or found.lifecycle_stage == "deleted" else str(found.experiment_id)


def experiment_name(client: Any, study: str, identity: str) -> str:
    """Returns the name of a study's experiment; when another study has the name, the start of the identity is added."""
    found = client.get_experiment_by_name(study)
    taken = found is not None and found.tags.get(STUDY) != identity
    return f"{study} ({identity[:8]})" if taken else study


def _remove_earlier(client: Any, identity: str) -> None:
    """Deletes the runs that version 0.1 showed of the study and that would stay outdated; deleted runs can be
    restored.
    """
    shared = client.get_experiment_by_name(_SHARED)
    for parent in _found(client, shared.experiment_id, f"tags.`{STUDY}` = '{identity}'") if shared else ():
        for child in _found(client, shared.experiment_id, f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"):
            client.delete_run(child.info.run_id)
        client.delete_run(parent.info.run_id)
