"""Checks whether the study that `init` writes learns: `python benchmarks/init_learns.py FOLDER OUT TEXT [TEXT ...]`.

For each text file, `init` writes a study as for a user, and the study runs in FOLDER with one seed and one thread;
nothing else is changed. OUT.json and OUT.txt list, for each row, the validation loss at the end and its distance below
the unigram entropy of the training tokens: 0 is a guess by frequency alone. A study with a report is not run again.
Losses do not depend on the load. PLD_SEARCH_STEPS=N shortens the runs, and the steps in the table show it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from facts import facts

GOAL = 0.3
"""Nats below the unigram entropy that every row should reach."""


def command(folder: Path, *words: str) -> str:
    """Returns the output of a verb of pld-search."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
    program = [sys.executable, "-m", "pld_search", *words]
    return subprocess.run(program, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def learnt(folder: Path, text: Path) -> dict[str, Any]:
    """Writes and runs the study of one text; returns the facts of its report."""
    name, report = text.stem, folder / "runs" / text.stem / "report.json"
    if not report.exists():
        command(folder, "init", name, "--text", str(text))
        machine = ["--slots", "1", "--threads", "1", "--device", "cpu", "--set", "machine.speed_probes=0"]
        command(folder, "run", f"{name}.yaml", "--set", "seeds=1", *machine)
        command(folder, "report", name)
    told = json.loads(report.read_text(encoding="utf-8"))
    return {
        "text": name,
        "bytes": text.stat().st_size,
        "entropy": told["study"]["entropy"],
        "rows": [
            {
                "row": row["label"],
                "steps": row["steps"],
                "valid/loss": row["metrics"]["valid/loss"]["mean"],
                "below": row["below_unigram"],
            }
            for row in told["comparison"]
        ],
    }


def table(found: list[dict[str, Any]]) -> str:
    """Returns one line for each row."""
    lines = [f"{'text':<12} {'MB':>6} {'entropy':>8} {'row':<8} {'steps':>6} {'valid/loss':>10} {'below':>6}"]
    for text in found:
        for row in text["rows"]:
            size = f"{text['text']:<12} {text['bytes'] / 1e6:>6.2f} {text['entropy']:>8.3f}"
            lines.append(f"{size} {row['row']:<8} {row['steps']:>6} {row['valid/loss']:>10.3f} {row['below']:>6.2f}")
    least = min(row["below"] for text in found for row in text["rows"])
    return "\n".join([*lines, f"the least is {least:.2f} nats below the unigram entropy; the goal is {GOAL}"])


def main() -> None:
    """Runs every text in turn and writes the results after each."""
    folder, out, *texts = (Path(word) for word in sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    found: list[dict[str, Any]] = []
    for text in texts:
        found.append(learnt(folder, text.resolve()))
        out.with_suffix(".json").write_text(json.dumps({**facts(), "texts": found}, indent=1) + "\n", encoding="utf-8")
        out.with_suffix(".txt").write_text(table(found) + "\n", encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
