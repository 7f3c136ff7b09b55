"""Writes the text of a paper on a study as LaTeX: its table, a methods paragraph and a bibliography. `report --pdf`
writes the pictures.
"""

from __future__ import annotations

from pathlib import Path

from pld_search.host.disk import write_atomically
from pld_search.records.study_record import view
from pld_search.report.bibliography import bibliography
from pld_search.report.comparison import comparison
from pld_search.report.paper_text import latex_table, methods
from pld_search.report.study_summary import summary

FOLDER = "paper"


def write_paper(folder: Path) -> Path:
    """Writes table.tex, methods.tex and references.bib into `folder`/paper and returns its path. Raises OSError."""
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
    return out
