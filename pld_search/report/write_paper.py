"""What a paper takes of a study: table, methods paragraph and bibliography as LaTeX, pictures as PDF."""

from __future__ import annotations

from pathlib import Path

from pld_search.host.disk import write_atomically
from pld_search.records.study_record import view
from pld_search.report import figures, frontier, svg
from pld_search.report.comparison import comparison
from pld_search.report.paper_text import bibliography, latex_table, methods
from pld_search.report.study_summary import summary

FOLDER = "paper"


def write_paper(folder: Path) -> list[Path]:
    """Write the files into `folder`/paper and give their paths; a picture that there is nothing to draw in is left
    out.
    """
    seen = view(folder)
    about, table = summary(seen), comparison(seen)
    out = folder / FOLDER
    out.mkdir(exist_ok=True)
    texts = {
        "table.tex": latex_table(table, about),
        "methods.tex": methods(table, about),
        "references.bib": bibliography(table),
    }
    for name, text in texts.items():
        write_atomically(out / name, text)
    found = next((row.frontier for row in table if row.frontier is not None), None)
    with svg.pdfs() as pictures:
        figures.pareto_svg(table)
        figures.curves_svg(table, about.entropy)
        if found is not None:
            frontier.frontier_svg(found, str(about.decide.primary))
    for name, content in pictures.items():
        (out / f"{name}.pdf").write_bytes(content)
    return sorted(out.iterdir())
