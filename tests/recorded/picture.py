"""The picture of a study in an MLflow store as plain JSON values: `python -m tests.recorded.picture URI FILE`.

The files `NAME.mlflow.json` of this folder were written so from what the code of version 0.1 had shown.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from mlflow.tracking import MlflowClient

KEPT = ("state", "outcome")


def picture(uri: str) -> list[dict[str, Any]]:
    """Name, status, params, the tags KEPT and every metric's history of each run in a store, by name."""
    client = MlflowClient(uri)
    runs = [
        run
        for experiment in client.search_experiments()
        for run in client.search_runs([experiment.experiment_id], max_results=1000)
    ]
    rows = [
        {
            "name": run.info.run_name,
            "status": run.info.status,
            "params": run.data.params,
            "tags": {key: value for key, value in run.data.tags.items() if key in KEPT},
            "metrics": {
                key: sorted([point.step, point.value] for point in client.get_metric_history(run.info.run_id, key))
                for key in run.data.metrics
            },
        }
        for run in runs
    ]
    return sorted(rows, key=lambda row: row["name"])


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(picture(sys.argv[1]), indent=0, sort_keys=True))
