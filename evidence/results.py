"""Writes RESULTS.md, results.json and the pictures from the packed records alone: `python -m evidence.results [--out
DIR]`.

Works with incomplete stages and states the progress of each. `pld-search verify evidence` runs it into another folder
and compares.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from evidence import stage_a, stage_b, stage_c
from evidence.factorial import BLOCKS
from evidence.pages import Part, table
from evidence.places import DESIGNS, RECORDS
from evidence.reading import Run, runs_of

PAGE, NUMBERS, PICTURES = "RESULTS.md", "results.json", "pictures"
HEAD = """\
# Results

Written by `python -m evidence.results` from the packed records; `pld-search verify evidence` recomputes it. What was asked, how it
is judged and what would change our mind: [DESIGN.md](DESIGN.md), committed before the runs. Losses in nats, less is better.
Runs were paused whenever something else was measured on their machine, so no seconds are reported.
"""


def parts(records: Path = RECORDS) -> list[Part]:
    """Returns every stage's section, in order."""
    b1 = runs_of("evidence-b1", records)
    c = [run for block in range(BLOCKS) for run in runs_of(f"evidence-c-block-{block}", records)]
    a, b2 = runs_of("evidence-a", records), runs_of("evidence-b2", records)
    return [stage_a.part(a), stage_b.part_b1(b1), stage_b.part_b2(b2, b1), stage_c.part(c)]


def page(found: Sequence[Part], findings: str) -> str:
    """Returns the whole page."""
    lines = [
        [part.stage, f"{len(part.runs)} of {part.expected}", str(part.diverged), *_times(part.runs)] for part in found
    ]
    far = table(["stage", "runs ended", "diverged", "first began (UTC)", "last ended (UTC)"], lines)
    text = [HEAD, findings.strip(), f"## How far\n\n{far}\n\n{_origin([run for part in found for run in part.runs])}"]
    for part in found:
        shown = "".join(f"\n\n![{part.stage}: {part.title}]({PICTURES}/{name})" for name in part.pictures)
        text.append(f"## Stage {part.stage}: {part.title}\n\n{part.text}{shown}")
    return "\n\n".join(each.strip() for each in text) + "\n"


def write(out: Path, records: Path = RECORDS) -> None:
    """Writes page, numbers and pictures into `out`."""
    found = parts(records)
    (out / PICTURES).mkdir(parents=True, exist_ok=True)
    (out / PAGE).write_text(page(found, (DESIGNS / "FINDINGS.md").read_text(encoding="utf-8")), encoding="utf-8")
    numbers = {part.stage: {"ended": len(part.runs), "expected": part.expected, **part.data} for part in found}
    (out / NUMBERS).write_text(json.dumps(numbers, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    for part in found:
        for name, draw in part.pictures.items():
            draw(out / PICTURES / name)


def _times(runs: Sequence[Run]) -> list[str]:
    if not runs:
        return ["", ""]
    first, last = min(run.began for run in runs), max(run.ended for run in runs)
    return [datetime.fromtimestamp(each, UTC).strftime("%Y-%m-%d %H:%M") for each in (first, last)]


def _origin(runs: Sequence[Run]) -> str:
    """Returns one line for each combination of code and machine of the runs."""
    if not runs:
        return "No run has ended."
    counts = Counter((run.commit[:12], run.machine["torch"], run.machine["instruction_set"]) for run in runs)
    return "\n".join(
        f"- {count} {'run' if count == 1 else 'runs'} of commit {commit}, torch {torch}, {kind}"
        for (commit, torch, kind), count in sorted(counts.items())
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=DESIGNS)
    write(parser.parse_args().out)
