"""Whether the discriminator of a tiny ELECTRA learns: `python benchmarks/electra_learns.py FOLDER OUT`.

The script runs benchmarks/electra_learns.yaml in FOLDER, two runs at a time, each on one thread; finished runs stay.
Over the seeds it compares `rtd_auc` with 0.5, the AUC of a constant answer, and `rtd_f1` with `rtd_constant_f1`, the F1
of predicting every token as replaced: mean difference and 95 % t interval, at the last step that all seeds have
validated. OUT.json has every validation of every seed, OUT.txt the table. The values do not depend on the load. With
--read the script runs nothing and reports what FOLDER has.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from scipy import stats

from pld_search.records.run_record import RunRecord, fold_run

sys.path.insert(0, str(Path(__file__).parent))
from facts import facts

STUDY = Path(__file__).with_suffix(".yaml")
NAMES = ("valid/rtd_auc", "valid/rtd_f1", "valid/rtd_constant_f1", "valid/rtd_loss", "valid/mlm_loss")


def validated(folder: Path) -> list[RunRecord]:
    """Returns the runs of the study with at least one validation, by seed."""
    runs = sorted((folder / "electra-learns" / "trials" / "0000").glob("seed-*"), key=lambda run: run.name)
    return [record for record in map(fold_run, runs) if record.series.get(NAMES[0])]


def interval(values: list[float]) -> tuple[float, float, float]:
    """Returns the mean and the ends of its 95 % t interval; NaN ends for one value."""
    if len(values) < 2:
        return values[0], math.nan, math.nan
    half = float(stats.t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return mean(values), mean(values) - half, mean(values) + half


def spread_of(auc: float, constant_f1: float, positions: int) -> float:
    """Returns the standard error of one seed's AUC over `positions` held-out positions, taken as independent (Hanley &
    McNeil, 1982). The F1 of predicting every token as replaced gives the number of replaced ones.
    """
    replaced = positions * constant_f1 / (2 - constant_f1)
    others, one, two = positions - replaced, auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (replaced - 1) * (one - auc**2) + (others - 1) * (two - auc**2)
    return math.sqrt(variance / (replaced * others))


def found(records: list[RunRecord]) -> dict[str, Any]:
    """Returns every validation, and the two differences at the last step that all seeds have validated."""
    at = min(record.series[NAMES[0]][-1][0] for record in records)
    last = [{name: dict(record.series[name])[at] for name in NAMES} for record in records]
    auc = interval([seed["valid/rtd_auc"] - 0.5 for seed in last])
    f1 = interval([seed["valid/rtd_f1"] - seed["valid/rtd_constant_f1"] for seed in last])
    what = records[0].experiment
    positions = what.validation.sequences * what.data.final_length
    return {
        "study": STUDY.name,
        "standard errors of the aucs": [
            spread_of(seed["valid/rtd_auc"], seed["valid/rtd_constant_f1"], positions) for seed in last
        ],
        "seeds": [{name: record.series[name] for name in NAMES} for record in records],
        "step": at,
        "of": what.steps,
        "auc - 0.5": auc,
        "f1 - constant f1": f1,
    }


def table(told: dict[str, Any]) -> str:
    """Returns one line per seed, and the intervals."""
    lines = [
        f"{'seed':>4} {'step':>6} {'auc':>6} {'95 % of its text':>16} {'f1':>6} {'constant':>8} {'rtd_loss':>8} {'mlm_loss':>8}"
    ]
    for number, seed in enumerate(told["seeds"]):
        auc, f1, constant, rtd, mlm = (dict(seed[name])[told["step"]] for name in NAMES)
        half = 1.96 * told["standard errors of the aucs"][number]
        around = f"{auc - half:.3f} to {auc + half:.3f}"
        lines.append(
            f"{number:>4} {told['step']:>6,} {auc:>6.3f} {around:>16} {f1:>6.3f} {constant:>8.3f} {rtd:>8.4f} {mlm:>8.3f}"
        )
    for name in ("auc - 0.5", "f1 - constant f1"):
        middle, low, high = told[name]
        verdict = "better" if low > 0 else "worse" if high < 0 else "undecided"
        lines.append(f"{name}: {middle:+.3f} ({low:+.3f} to {high:+.3f}, 95 %, {len(told['seeds'])} seeds): {verdict}")
    return "\n".join(lines)


def main() -> None:
    """Runs the study unless --read is given, and writes the results."""
    words = [word for word in sys.argv[1:] if word != "--read"]
    folder, out = map(Path, words)
    if "--read" not in sys.argv:
        machine = ["--slots", "2", "--threads", "1", "--device", "cpu", "--set", "machine.speed_probes=0"]
        command = [sys.executable, "-m", "pld_search", "run", str(STUDY), "--runs", str(folder), *machine]
        subprocess.run(command, check=True)
    told = {**facts(), **found(validated(folder))}
    out.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    out.with_suffix(".txt").write_text(table(told) + "\n", encoding="utf-8")
    print(table(told))


if __name__ == "__main__":
    main()
