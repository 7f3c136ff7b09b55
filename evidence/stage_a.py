"""Stage A: the rebuttal's rows at equal steps, six contrasts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from evidence.contrasts import Contrast, judge
from evidence.pages import Part, Picture, looks, losses, rows_table, verdicts
from evidence.pictures import differences
from evidence.reading import Run

ROWS = ("full", "pld", "random", "td-only", "dd-only", "layerdrop", "shallow", "same-lr", "postln")
SEEDS = 4
TITLE = "the rebuttal's rows, equal steps"
EXPECTED = len(ROWS) * SEEDS
ALIKE = ("full", "pld", "random", "td-only", "dd-only", "layerdrop")
CONTRASTS = (
    Contrast("pld", "full", ALIKE),
    Contrast("pld", "random", ALIKE),
    Contrast("pld", "td-only", ALIKE),
    Contrast("pld", "shallow"),
    Contrast("random", "shallow"),
    Contrast("full", "same-lr"),
)


def part(runs: Sequence[Run]) -> Part:
    """Returns the stage's section of the page."""
    if not runs:
        return Part("A", TITLE, EXPECTED, runs, looks(EXPECTED, runs))
    rows, numbers = rows_table(runs, ROWS, "full")
    text, data = f"{looks(EXPECTED, runs)}\n\n{rows}", {"rows": numbers}
    values = losses(runs)
    if len(runs) == EXPECTED:
        whole = [
            each for each in CONTRASTS if len(values.get(each.first, ())) == len(values.get(each.second, ())) == SEEDS
        ]
        missing = [each.name for each in CONTRASTS if each not in whole]
        judged, data["contrasts"] = verdicts(judge(values, whole))
        text += f"\n\n{judged}" + (
            f"\n\nNo verdict, since not every seed finished: {', '.join(missing)}." if missing else ""
        )
    pictures: dict[str, Picture] = {"a.svg": partial(differences, values, ROWS, "full")} if values.get("full") else {}
    return Part("A", TITLE, EXPECTED, runs, text, data, pictures)
