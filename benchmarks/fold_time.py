"""Processor seconds to fold a study without and with its store of folds: `python benchmarks/fold_time.py FOLDER`.

The benchmark rewrites the store (`folds.jsonl`). A figure is for cold caches in one process (`time.process_time`), so a
busy machine changes it little. benchmarks/study_scale.py makes studies of any size.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from pld_search.records import fold_store, run_record, study_record  # noqa: E402


def seconds(folder: Path) -> dict[str, float]:
    """Returns the seconds for `study.jsonl` alone, and for the runs of the view after it."""
    for cached in (study_record._folded, run_record._folded, fold_store._store):
        cached.cache_clear()
    begun = time.process_time()
    study_record.fold_study(folder)
    study = time.process_time() - begun
    seen = study_record.view(folder)
    return {"study": round(study, 3), "runs": round(time.process_time() - begun - study, 3), "count": len(seen.runs)}


def main(folder: Path) -> None:
    """Measures both cases twice, in turns."""
    store = folder / fold_store.STORE
    for _ in range(2):
        store.unlink(missing_ok=True)
        print(json.dumps({"store": False, **seconds(folder)}))
        print(json.dumps({"store": True, **seconds(folder)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
