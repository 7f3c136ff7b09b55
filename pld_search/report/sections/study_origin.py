"""The origin of a study and how to repeat it: versions, machine, corpus, identity, and the command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pld_search.records.study_record import StudyView
from pld_search.report.html_markup import Markup, join, tag
from pld_search.report.page_facts import PageFacts


def body(facts: PageFacts) -> Markup:
    """Returns the last section of the page."""
    about, view = facts.about, facts.view
    written = [
        *_flat("", about.provenance),
        *_flat("execution", {k: v for k, v in about.execution.items() if k != "folders" and v is not None}),
        *_flat("corpus", about.corpus),
    ]
    return join(
        tag(
            "p",
            "As recorded by the first run. To continue the study, to repeat it in another folder, and to "
            "write this report again:",
            class_="soft",
        ),
        tag("pre", reproduce(view)),
        tag(
            "dl",
            tag("dt", "study id"),
            tag("dd", tag("code", about.identifier)),
            *[cell for key, value in written for cell in (tag("dt", key), tag("dd", value))],
        ),
        *_identity(view),
    )


def reproduce(view: StudyView) -> str:
    """Returns the commands that continue this study, repeat it elsewhere, and write this report; study.yaml lies in the
    study's folder.
    """
    again = f"pld-search run {view.folder}/study.yaml"
    return f"{again}\n{again} --runs ANOTHER_FOLDER\npld-search report {view.folder}"


def _identity(view: StudyView) -> list[Markup]:
    identity = view.study.created.identity if view.study.created else {}
    if not identity:
        return []
    lines = "\n".join(f"{key}: {value}" for key, value in _flat("", identity))
    return [tag("details", tag("summary", "Digests a continuation must match"), tag("pre", lines))]


def _flat(prefix: str, value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, inner in value.items():
        name = f"{prefix} {key}".strip()
        if isinstance(inner, Mapping):
            yield from _flat(name, inner)
        else:
            yield name, f"{inner:.6g}" if isinstance(inner, float) else str(inner)
