"""The cost of each declared row besides its FLOPs."""

from __future__ import annotations

from pld_search.report import table_cells, wording
from pld_search.report.html_markup import Markup, join, tag
from pld_search.report.page_facts import PageFacts
from pld_search.report.row_costs import RowCosts, epoch_warning, row_costs
from pld_search.report.time_to_loss import Ratio, TimeToLoss


def body(facts: PageFacts) -> Markup | None:
    """Returns the table; None before a declared row has finished."""
    rows = row_costs(facts.table, facts.about)
    if not rows:
        return None
    headings = [
        table_cells.heading("system", left=True),
        table_cells.heading("parameters"),
        table_cells.heading("tokens", "epochs"),
        table_cells.heading("seconds", "vs reference"),
        table_cells.heading("memory", "GB, forecast"),
        table_cells.heading("speed", "vs full depth: quartiles"),
        table_cells.heading("reaches the reference's loss", "at its FLOPs x"),
        table_cells.heading("", "at its seconds x"),
    ]
    lines = [tag("tr", *_cells(row)) for row in rows]
    notes = [
        tag("p", text, class_="soft")
        for text in (
            "Seconds and speed are what a clock measured while runs shared the machine. A speed is marked "
            "where it is more than "
            "5 % above what the saved FLOPs allow.",
            epoch_warning(rows),
        )
        if text
    ]
    return join(table_cells.grid(headings, lines), *notes)


def _cells(row: RowCosts) -> list[Markup]:
    low, value, high = row.speed
    quartiles = f"{low:.2f} – {high:.2f}" if low is not None and high is not None else ""
    mark = " !" if row.too_fast else ""
    return [
        table_cells.cell(row.label, None, "left"),
        table_cells.cell(wording.count(row.parameters)),
        table_cells.cell(wording.compact(row.tokens), "" if row.epochs is None else f"{row.epochs:.2f}"),
        table_cells.cell(wording.compact(row.seconds), wording.times(row.seconds_ratio)),
        table_cells.cell(wording.NONE if row.memory_gb is None else f"{row.memory_gb:.2f}"),
        table_cells.cell(f"{wording.times(value)}{mark}", quartiles),
        table_cells.cell(*_reached(row.to_loss, row.to_loss.flops if row.to_loss is not None else None)),
        table_cells.cell(*_reached(row.to_loss, row.to_loss.seconds if row.to_loss is not None else None)),
    ]


def _reached(found: TimeToLoss | None, ratio: Ratio | None) -> tuple[str, str]:
    if found is None:
        return wording.NONE, ""
    some = "" if found.reached == found.seeds else f"{found.reached} of {found.seeds} runs"
    if ratio is None:
        return "not reached", some
    ends = "" if ratio.interval is None else f"{ratio.interval[0]:.2f} – {ratio.interval[1]:.2f}"
    return f"{ratio.value:.2f}", some or ends
