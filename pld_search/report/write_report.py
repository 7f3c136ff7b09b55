"""Writes a study's report.csv, report.json and report.html beside its records, each file atomically."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from pld_search.host.disk import write_atomically
from pld_search.records.study_record import view
from pld_search.report import headline, search_model
from pld_search.report.comparison import SystemRow
from pld_search.report.drawing.pdf_writer import write_pdfs
from pld_search.report.fine_tuning import stability
from pld_search.report.page import SECTIONS, page
from pld_search.report.page_facts import PageFacts
from pld_search.report.row_costs import row_costs
from pld_search.report.run_frame import columns, run_lines
from pld_search.report.run_rows import Row
from pld_search.report.rung_table import rungs
from pld_search.report.sections.layers import analyses_of
from pld_search.report.step_cost import step_cost
from pld_search.report.study_summary import Summary


def write_report(folder: Path) -> Path:
    """Writes the three files into the study's folder; returns the path of report.html."""
    facts = PageFacts.of(view(folder))
    write_atomically(folder / "report.csv", csv_text(run_lines(facts.view, facts.table, facts.about)))
    write_atomically(
        folder / "report.json", json.dumps(as_json(facts), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    )
    write_atomically(folder / "report.html", page(facts))
    return folder / "report.html"


def write_pictures(folder: Path) -> Path | None:
    """Writes the pictures of the page as PDF: one page each in report.pdf, and each as figures/NAME.pdf. Returns the
    path of report.pdf, None when there is nothing to draw yet. Raises OSError.
    """
    facts = PageFacts.of(view(folder))
    drawn = [each for section in SECTIONS if section.pictures is not None for each in section.pictures(facts)]
    if not drawn:
        return None
    write_pdfs(drawn, folder / "figures", folder / "report.pdf")
    return folder / "report.pdf"


def csv_text(table: list[Row]) -> str:
    """Returns one line for each run, with a column for every parameter and metric; a missing value is empty."""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=columns(table), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return out.getvalue()


def as_json(facts: PageFacts) -> dict[str, Any]:
    """Returns `study` (the facts above the tables), `comparison` (a row for each system and sampled trial), `costs` and
    `fine_tuning` (a row for each declared system), `rungs` (a row for each rung), `search` (predictions and effects of
    its model) and `runs` (a row for each run).
    """
    about, table = facts.about, facts.table
    return {
        "study": summary_json(about) | {"headline": headline.lines(table, about)},
        "comparison": [comparison_json(row) | _step(row, table) for row in table],
        "costs": [asdict(row) | {"too_fast": row.too_fast} for row in row_costs(table, about)],
        "fine_tuning": [asdict(row) for row in stability(table)],
        "rungs": [asdict(rung) for rung in rungs(facts.view)],
        "search": search_model.as_json(facts.view.study),
        "runs": facts.runs,
    }


def _step(row: SystemRow, table: list[SystemRow]) -> dict[str, Any]:
    """Returns a step of the row as a share of a step of the reference, in FLOPs and in measured seconds."""
    reference = next((other for other in table if other.is_reference), None)
    return {"step_of_reference": asdict(step_cost(row, reference))}


def summary_json(about: Summary) -> dict[str, Any]:
    """Returns the facts as JSON values; of several objectives the one that orders the rows."""
    first, values = about.objectives.first, ("decide", "winner", "contrast", "looked")
    apart = ("objectives", *values)
    facts = {field.name: getattr(about, field.name) for field in fields(about) if field.name not in apart}
    return facts | {
        "objective": first.metric,
        "minimize": first.direction == "minimize",
        "decide": about.decide.model_dump(mode="json"),
        "looked": {row: {"look": look, "verdict": str(verdict)} for row, (look, verdict) in about.looked.items()},
        "winner": None if about.winner is None else asdict(about.winner),
        "contrast": None if about.contrast is None else about.contrast.payload(),
    }


def comparison_json(row: SystemRow) -> dict[str, Any]:
    """Returns a row of the comparison as JSON values; a difference has its verdict, a cost its `equal`."""
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
        "no_verdict",
        "budget_share",
    )
    return {
        **{name: getattr(row, name) for name in plain},
        "metrics": {name: asdict(spread) for name, spread in row.metrics.items()},
        "differences": {name: asdict(found) for name, found in row.differences.items()},
        "frontier": asdict(row.frontier) if row.frontier is not None else None,
        "margin": asdict(row.margin) if row.margin is not None else None,
        "tuned": row.tuned.payload() if row.tuned is not None else None,
        "shrunken": asdict(row.shrunken) if row.shrunken is not None else None,
        "layer_analysis": layers[-1][1].record() if (layers := analyses_of(row)) else None,
        "cost": asdict(row.cost) | {"equal": row.cost.equal} if row.cost is not None else None,
    }
