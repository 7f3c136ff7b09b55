"""Makes the pages of the site from the repository's own files: `python tools/site_pages.py OUT`.

README.md becomes the first page, docs/ stays unchanged, CHANGELOG.md and a reference of the public names are added. A
link to a file that is no page (a schedule, a script) becomes plain text, because the site has no such file.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[([^\]]*)\]\(([^)#\s]*)(#[^)\s]*)?\)")
PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md"}
REFERENCE = {
    "Schedules": ["pld_search.costs.load_schedule.load_schedule", "pld_search.schedules.schedule.Schedule"],
    "Forecasts": ["pld_search.costs.forecast_answer.forecast"],
    "Studies": ["pld_search.api.run.run", "pld_search.api.results.results", "pld_search.api.results.Results"],
    "Attaching": [
        "pld_search.model.attach.layer_drop.attach",
        "pld_search.model.attach.layer_drop.Drop",
        "pld_search.model.attach.layer_drop.Drops",
        "pld_search.hf.LayerDrop",
        "pld_search.compat.ProgressiveLayerDrop",
    ],
    "Errors": ["pld_search.errors"],
}
"""Heading -> the public names below it, by the module that defines them."""


STYLE = """/* a key of a table is never cut within a word, on a phone neither */
.md-typeset td:first-child code { word-break: normal; overflow-wrap: normal; }
"""


def sources() -> dict[str, Path]:
    """Returns page of the site -> its source file."""
    pages = {str(path.relative_to(ROOT / "docs")): path for path in sorted((ROOT / "docs").rglob("*.md"))}
    return pages | {page: ROOT / name for name, page in PAGES.items()}


def page(source: Path, name: str, pages: dict[Path, str]) -> str:
    """Returns the text of a page with its links converted to the pages of the site."""

    def turned(link: re.Match[str]) -> str:
        text, target, anchor = link[1], link[2], link[3] or ""
        if not target or "://" in target:
            return link[0]
        found = pages.get((source.parent / target).resolve())
        if found is None:
            return text
        up = "../" * name.count("/")
        return f"[{text}]({up}{found}{anchor})"

    return LINK.sub(turned, source.read_text(encoding="utf-8"))


def reference() -> str:
    """Returns the page of public names for mkdocstrings."""
    blocks = [
        f"## {heading}\n\n" + "\n\n".join(f"::: {name}" for name in names) for heading, names in REFERENCE.items()
    ]
    return "# Reference\n\n" + "\n\n".join(blocks) + "\n"


def write(out: Path) -> None:
    """Writes all pages into a folder that is made anew."""
    shutil.rmtree(out, ignore_errors=True)
    found = sources()
    pages = {path.resolve(): name for name, path in found.items()}
    for name, source in found.items():
        place = out / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(page(source, name, pages), encoding="utf-8")
    (out / "reference.md").write_text(reference(), encoding="utf-8")
    (out / "site.css").write_text(STYLE, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
