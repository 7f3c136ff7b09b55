"""`coordinate.py STUDY_YAML FOLDER SLOTS`: a coordinator with the fake trainer in a process of its own, to be killed.

COORDINATE_MACHINE names a machine file, COORDINATE_MIRROR an MLflow store that the study is shown in,
COORDINATE_STORAGE a storage, COORDINATE_COST a file that the process's own CPU seconds and peak memory are written to.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

from pld_search.errors import PldSearchError
from pld_search.spaces.load_study import load_study
from pld_search.specs.yaml_io import load_file, plain
from tests.search.studies import run


def main(study: Path, folder: Path, slots: int) -> int:
    options: dict[str, Any] = {}
    if "COORDINATE_MACHINE" in os.environ:
        options["machine"] = plain(load_file(Path(os.environ["COORDINATE_MACHINE"])))
    if "COORDINATE_MIRROR" in os.environ:
        from pld_search.tracking.mlflow_mirror import Mirror

        options["observers"] = [Mirror(os.environ["COORDINATE_MIRROR"], interval=0.2, retry=1.0, patience=300)]
    if "COORDINATE_STORAGE" in os.environ:
        options["environment"] = {"OPTUNA_STORAGE": os.environ["COORDINATE_STORAGE"]}
    begun = time.process_time()
    try:
        return run(load_study(study), folder, slots, **options)
    except PldSearchError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    finally:
        if "COORDINATE_COST" in os.environ:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            Path(os.environ["COORDINATE_COST"]).write_text(
                json.dumps({"cpu_seconds": time.process_time() - begun, "peak_mib": peak})
            )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
