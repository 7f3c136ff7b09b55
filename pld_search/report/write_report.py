"""Writes a study's report.csv, report.json and report.html beside its records, each whole or not at all."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from pld_search.host.disk import write_atomically
from pld_search.records.study_record import StudyView, view
from pld_search.report.comparison import SystemRow, comparison
from pld_search.report.page import page
from pld_search.report.run_rows import Row, columns, rows
from pld_search.report.rung_table import rungs
from pld_search.report.study_summary import Summary, summary


def write_report(folder: Path) -> Path:
    """Write the three files into the study's folder; gives the path of report.html."""
    seen = view(folder)
    write_atomically(folder / "report.csv", csv_text(rows(seen)))
    write_atomically(
        folder / "report.json", json.dumps(as_json(seen), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    )
    write_atomically(folder / "report.html", page(seen))
    return folder / "report.html"


def csv_text(table: list[Row]) -> str:
    """One line a run, every metric a column; empty where not measured."""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=columns(table), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return out.getvalue()


def as_json(seen: StudyView) -> dict[str, Any]:
    """`study` (the facts above the tables), `comparison` (a row a system or sampled trial), `rungs` (a row a rung) and
    `runs` (a row a run).
    """
    lines = [asdict(rung) for rung in rungs(seen)]
    return {
        "study": summary_json(summary(seen)),
        "comparison": [comparison_json(row) for row in comparison(seen)],
        "rungs": lines,
        "runs": rows(seen),
    }


def summary_json(about: Summary) -> dict[str, Any]:
    """The facts as JSON values; of several objectives the one that orders rows."""
    first = about.objectives.first
    facts = {field.name: getattr(about, field.name) for field in fields(about) if field.name != "objectives"}
    return facts | {"objective": first.metric, "minimize": first.direction == "minimize"}


def comparison_json(row: SystemRow) -> dict[str, Any]:
    """A row of the comparison as JSON values; a difference says whether it is resolved, a cost whether it is equal."""
    plain = (
        "label",
        "kind",
        "trial",
        "system",
        "schedule",
        "model",
        "objective",
        "layers",
        "steps",
        "tuning_trials",
        "states",
        "params",
        "is_reference",
        "feasible",
        "confirmed",
        "below_unigram",
    )
    return {
        **{name: getattr(row, name) for name in plain},
        "metrics": {name: asdict(spread) for name, spread in row.metrics.items()},
        "differences": {
            name: asdict(difference) | {"resolved": difference.resolved} for name, difference in row.differences.items()
        },
        "cost": asdict(row.cost) | {"equal": row.cost.equal} if row.cost is not None else None,
    }
