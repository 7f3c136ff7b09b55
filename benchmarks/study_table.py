"""Prints the comparison of a finished study as a Markdown table: `python benchmarks/study_table.py REPORT [METRIC]`.

REPORT is the file report.json of `pld-search report`. METRIC is the judged metric: `valid/loss` by default. A row has
its steps, its losses, its average downstream score where there is one, the difference to the reference with its
interval, and the verdict.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def cell(row: dict[str, Any], metric: str) -> str:
    """Returns `mean +- standard deviation (number of seeds)`, or a dash."""
    found = row["metrics"].get(metric)
    if found is None or found["mean"] is None:
        return "-"
    return f"{found['mean']:.3f}" + (f" ± {found['sd']:.3f} ({found['n']})" if found["n"] > 1 else " (1)")


def difference(row: dict[str, Any], metric: str) -> tuple[str, str]:
    """Returns the difference with its interval, and the verdict's words."""
    found = row["differences"].get(metric)
    if row["is_reference"]:
        return "reference", ""
    if found is None or found["interval"] is None:
        return "-", row["no_verdict"] or "exploratory"
    low, high = found["interval"]
    return f"{found['value']:+.3f} ({low:+.3f} to {high:+.3f})", found["words"] or row["no_verdict"]


def table(rows: list[dict[str, Any]], metric: str) -> str:
    """Returns the table of all rows with a finished run."""
    scores = sorted({name for row in rows for name in row["metrics"] if name.endswith("/average")})
    heads = [
        "row",
        "steps",
        "FLOPs saved",
        "valid/loss",
        "test/loss",
        *scores,
        f"{metric} less the reference's",
        "verdict",
    ]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in rows:
        saved = row["metrics"].get("saved/flops", {}).get("mean")
        cells = [row["label"], f"{row['steps']:,}", "-" if saved is None else f"{100 * saved:.1f} %"]
        cells += [cell(row, name) for name in ("valid/loss", "test/loss", *scores)]
        lines.append("| " + " | ".join([*cells, *difference(row, metric)]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Prints the table of the file that the command line names."""
    report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(table(report["comparison"], sys.argv[2] if len(sys.argv) > 2 else "valid/loss"))


if __name__ == "__main__":
    main()
