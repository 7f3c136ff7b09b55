"""Measures what the losses of trunks add to the loss of a branch when the end of a run is predicted, on a table.

    python benchmarks/quality_trunks.py benchmarks/results/DATE-search-quality.jsonl

A trunk is a run whose learning rate has not decayed. Each line is a linear regression of the final losses on the stated
losses: the share of their variance that it explains when each run is left out in turn, over all runs and over the half
with the least final losses.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.quality_search import Table, load_table  # noqa: E402
from benchmarks.quality_summary import text_table  # noqa: E402

Floats = NDArray[np.float64]
SEEN: tuple[tuple[Sequence[float], Sequence[float]], ...] = (
    ((0.3,), ()),
    ((0.3,), (0.3,)),
    ((0.3,), (0.2, 0.3)),
    ((0.3,), (0.1, 0.2, 0.3)),
    ((0.2, 0.3), ()),
    ((), (0.05, 0.1, 0.2, 0.3)),
)
"""Shares of a run at which branches are seen, and trunks."""


def explained(columns: Floats, ends: Floats) -> float:
    """Returns 1 - (squared leave-one-out errors / squared deviations) of the regression of `ends` (n,) on `columns`
    (n, k) and a constant.
    """
    inputs = np.column_stack([np.ones(len(ends)), columns])
    hat = inputs @ np.linalg.pinv(inputs)
    errors = (ends - hat @ ends) / (1 - np.diag(hat))
    return float(1 - (errors**2).sum() / ((ends - ends.mean()) ** 2).sum())


def rows_of(table: Table) -> list[dict[str, str]]:
    """Returns a row of text for each of SEEN."""
    runs = table.runs
    ends = np.array([run.loss for run in runs])
    best, found = ends <= np.median(ends), []
    for branches, trunks in SEEN:
        columns = np.array(
            [[run.branch[share][0] for share in branches] + [run.trunk[share][0] for share in trunks] for run in runs]
        )
        names = [f"{kind} {100 * share:g} %" for kind, at in (("branch", branches), ("trunk", trunks)) for share in at]
        whole, half = explained(columns, ends), explained(columns[best], ends[best])
        found.append({"seen": ", ".join(names), "all": f"{whole:.2f}", "best": f"{half:.2f}"})
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    given = parser.parse_args(arguments)
    headings = [("seen", "losses"), ("all", "all runs"), ("best", "best half")]
    print(text_table(rows_of(load_table(given.table)), headings))


if __name__ == "__main__":
    main()
