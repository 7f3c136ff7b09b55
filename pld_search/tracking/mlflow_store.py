"""The MLflow store: opened once, under a lock, with the network on a short leash.

A fresh sqlite store runs its migrations at first use, and two processes doing so at once destroy it; so the parent
alone opens it, under a lock, before anything else does. A server that is down makes MLflow try again for minutes by
default; here one retry and a short timeout stand unless the user's environment says otherwise.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pld_search.host.disk import held

EXPERIMENT = "pld-search"
# else the UI guesses, and may show traces instead of runs
_KIND = {"mlflow.experimentKind": "custom_model_development"}
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


@dataclass(frozen=True, slots=True)
class Store:
    """An open store: its client and the MLflow experiment the studies are shown in."""

    client: Any
    experiment_id: str


def default_uri(runs: Path) -> str:
    """The sqlite store beside the studies: `runs/mlflow.db`."""
    return f"sqlite:///{runs.resolve() / 'mlflow.db'}"


def open_store(uri: str | None, runs: Path, experiment: str = EXPERIMENT) -> Store:
    """Open the store of `uri`, by default `runs/mlflow.db` with artifacts in `runs/mlartifacts`. Raises whatever MLflow
    raises.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow.tracking import MlflowClient  # seconds to import: only who mirrors pays

    for chatty in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(chatty).setLevel(logging.WARNING)  # a new store is no news
    runs.mkdir(parents=True, exist_ok=True)
    local = uri is None or uri.startswith("sqlite:")
    with held(runs / "mlflow.lock"):
        client = MlflowClient(tracking_uri=uri or default_uri(runs))
        found = client.get_experiment_by_name(experiment)
        if found is None:
            place = (runs.resolve() / "mlartifacts").as_uri() if local else None
            return Store(client, client.create_experiment(experiment, artifact_location=place, tags=_KIND))
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return Store(client, found.experiment_id)
