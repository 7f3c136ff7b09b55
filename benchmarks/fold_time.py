"""Processor seconds to fold a study without and with its store of folds: `python benchmarks/fold_time.py FOLDER`.

The store (`folds.jsonl`) is rewritten on the way. A figure is of cold caches in one process (`time.process_time`), so
that a busy machine changes it little. Studies of any size come from benchmarks/study_scale.py.
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
    """Of `study.jsonl` alone, and of the whole view after it."""
    for cached in (study_record._folded, run_record._folded, fold_store._store):
        cached.cache_clear()
    begun = time.process_time()
    study_record.fold_study(folder)
    study = time.process_time() - begun
    seen = study_record.view(folder)
    return {"study": round(study, 3), "runs": round(time.process_time() - begun - study, 3), "count": len(seen.runs)}


def main(folder: Path) -> None:
    """Twice each, in turns."""
    store = folder / fold_store.STORE
    for _ in range(2):
        store.unlink(missing_ok=True)
        print(json.dumps({"store": False, **seconds(folder)}))
        print(json.dumps({"store": True, **seconds(folder)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
