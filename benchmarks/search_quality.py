"""What searches cost until they have found a good configuration, simulated on a table of real runs.

    python benchmarks/search_quality.py benchmarks/results/DATE-search-quality.jsonl [--seeds 200] [--out benchmarks/results/DATE-search-quality]

The table is that of `quality_table.py`; what is real and what stands in for it is said in `quality_search.py`. Cost is counted
in executed FLOPs, branches included, in units of the mean full run; the goal is a finished run with a regret
(loss - best) / (median - best) of at most 5 %. Writes OUT.json, OUT.md and OUT.png, after each method what is known by then.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.facts import facts  # noqa: E402
from benchmarks.quality_picture import draw  # noqa: E402
from benchmarks.quality_search import Found, Method, SimulatedSearch, Table, load_table, rank_correlations  # noqa: E402
from benchmarks.quality_summary import Median, median_of, number, paired, ratio_of_medians, text_table  # noqa: E402
from pld_search.records import jsonl  # noqa: E402
from pld_search.spaces.early_stopping import Asha, Hyperband, Promotion  # noqa: E402

GOAL, TRIALS = 0.05, 60
RANDOM, STOPS, PROMOTES = "random", "TPE + stop-only halving", "TPE + promotion"
METHODS = (
    Method(RANDOM, "random"),
    Method("TPE", "tpe"),
    Method("TPE + Hyperband", "tpe", Hyperband(kind="hyperband")),
    Method(STOPS, "tpe", Asha(kind="asha")),
    Method(PROMOTES, "tpe", Promotion(kind="promotion")),
    Method("random + promotion", "random", Promotion(kind="promotion")),
)
"""Rungs and eta by default: 10 % and 30 %, a third goes on."""
SETTINGS = tuple((share, eta) for share in (0.05, 0.1, 0.2) for eta in (2, 3, 4) if (share, eta) not in ((0.05, 3), (0.2, 3), (0.2, 4)))
"""(min, eta) of promotion for which the table has every rung."""


def searched(table: Table, method: Method, seeds: int) -> list[Found]:
    return [SimulatedSearch(table, method, seed, TRIALS).run(GOAL) for seed in range(seeds)]


def row_of(method: Method, found: Sequence[Found], random: Sequence[float]) -> dict[str, Any]:
    """A method's line: cost of the goal, against random search, and what the searches did."""
    costs = [each.cost_to(GOAL) for each in found]
    ratio = dict(zip(("ratio", "ratio_low", "ratio_high"), ratio_of_medians(costs, random), strict=True))
    seen = {"asked": statistics.median(each.asked for each in found), "finished": statistics.median(each.finished for each in found)}
    shares = [each.branches / each.cost for each in found if each.cost]
    reached = sum(math.isfinite(cost) for cost in costs)
    return {"method": method.name, **asdict(median_of(costs)), **ratio, "reached": reached, **seen, "branch_share": statistics.mean(shares), "costs": costs}


def about_table(path: Path, table: Table) -> dict[str, Any]:
    """The space, how many of it meet the goal, and by how much runs of one configuration differ by their seed."""
    first, *rows = jsonl.read(path)
    meeting = sum(table.regret(loss) <= GOAL for loss in table.losses)
    best = min((row for row in rows if row["seed"] == 0), key=lambda row: float(row["loss"]))
    again = [row["loss"] for row in rows if row["params"] == best["params"]]
    noise = statistics.stdev(again) if len(again) > 1 else None
    return {
        "table": path.name,
        "configurations": len(table),
        "meeting": meeting,
        "best": table.losses[0],
        "median": statistics.median(table.losses),
        "worst": table.losses[-1],
        "unigram_entropy": first["about"]["corpus"]["unigram_entropy"],
        "best_params": best["params"],
        "best_by_seed": again,
        "seed_sd": noise,
        "full_tflop": table.full,
    }


def written(out: Path, report: Mapping[str, Any]) -> None:
    out.with_suffix(".json").write_text(json.dumps(_finite(report), indent=1) + "\n")
    out.with_suffix(".md").write_text(text_of(report) + "\n")


def _finite(value: Any) -> Any:
    """JSON has no infinity: what was never reached is null."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return (None if math.isinf(value) else round(value, 5)) if isinstance(value, float) else value


def text_of(report: Mapping[str, Any]) -> str:
    about, seeds = report["about"], report["seeds"]
    noise = f"; runs of the best one differ by their seed with a standard deviation of {about['seed_sd']:.4f}" if about["seed_sd"] else ""
    parts = [
        f"# Search quality: {about['configurations']} configurations, {seeds} simulated searches a method",
        f"Loss: best {about['best']:.4f}, median {about['median']:.4f}, worst {about['worst']:.4f}, unigram entropy {about['unigram_entropy']:.4f}{noise}. "
        f"A regret of 5 % is a loss of {about['best'] + GOAL * (about['median'] - about['best']):.4f}: {about['meeting']} configurations meet it.",
        "Cost in full runs until a finished run has a regret of at most 5 %:",
        _methods_text(report["methods"], seeds),
    ]
    if report["settings"]:
        parts += ["Promotion by its settings (configurations drawn at random):", _methods_text(report["settings"], len(report["settings"][0]["costs"]))]
    if report["paired"]:
        parts.append(_paired_text(report["paired"]))
    correlations = [{"share": f"{100 * row['share']:g} %", "trunk": _signed(row["trunk"]), "branch": _signed(row["branch"])} for row in report["correlations"]]
    parts += ["Rank correlation (Spearman) of the loss at a rung with that at the end, over all configurations:"]
    parts.append(text_table(correlations, (("share", "rung"), ("trunk", "trunk, undecayed"), ("branch", "branch, decayed"))))
    return "\n\n".join(parts)


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def _methods_text(rows: Sequence[Mapping[str, Any]], seeds: int) -> str:
    lines = [
        {
            "method": row["method"],
            "median": number(row["value"]),
            "interval": f"{number(row['low'])} .. {number(row['high'])}",
            "quartiles": f"{number(row['lower_quartile'])} .. {number(row['upper_quartile'])}",
            "ratio": f"{number(row['ratio'], 2)} ({number(row['ratio_low'], 2)} .. {number(row['ratio_high'], 2)})",
            "reached": f"{row['reached']} of {seeds}",
            "asked": f"{row['asked']:g}",
            "branches": f"{100 * row['branch_share']:.0f} %",
        }
        for row in rows
    ]
    headings = ("method", "median", "95 % of the median", "quartiles", "to random", "reached", "asked", "of it branches")
    return text_table(lines, list(zip(lines[0], headings, strict=True)))


def _paired_text(found: Mapping[str, Any]) -> str:
    return (
        f"On the same seeds promotion costs {number(found['value'], 2)} of what stop-only halving costs "
        f"(median of the ratio; {number(found['low'], 2)} .. {number(found['high'], 2)}): "
        f"less on {found['cheaper']}, more on {found['dearer']} of {found['of']} seeds."
    )


def promotion(share: float, eta: int) -> Method:
    """Configurations drawn at random: what settings of halving do, apart from the sampler, and in a tenth of the time."""
    return Method(f"min {100 * share:g} %, eta {eta}", "random", Promotion(kind="promotion", min=share, eta=eta))


def picture(out: Path, report: Mapping[str, Any], found: Mapping[str, Sequence[Found]]) -> None:
    about = report["about"]
    costs = {row["method"]: Median(*(row[name] for name in Median.__slots__)) for row in report["methods"]}
    title = f"{report['seeds']} simulated searches a method among {about['configurations']} trained configurations, {about['meeting']} of which meet the goal"
    draw(out.with_suffix(".png"), {name: [each.better for each in runs] for name, runs in found.items()}, costs, GOAL, title)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--settings", type=int, default=0, metavar="SEEDS", help="also compare settings of promotion, on so many seeds")
    parser.add_argument("--out", type=Path, help="default: the table's name")
    given = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    out, table = given.out or given.table.with_suffix(""), load_table(given.table)
    report: dict[str, Any] = {"facts": facts(), "goal": GOAL, "trials": TRIALS, "seeds": given.seeds, "about": about_table(given.table, table)}
    report |= {"methods": [], "settings": [], "paired": None, "correlations": rank_correlations(table)}
    found: dict[str, list[Found]] = {}
    for method in METHODS:
        found[method.name] = searched(table, method, given.seeds)
        report["methods"].append(row_of(method, found[method.name], [each.cost_to(GOAL) for each in found[RANDOM]]))
        written(out, report)
    costs = {row["method"]: row["costs"] for row in report["methods"]}
    report["paired"] = paired(costs[PROMOTES], costs[STOPS])
    picture(out, report, found)
    for share, eta in SETTINGS if given.settings else ():
        method = promotion(share, eta)
        report["settings"].append(row_of(method, searched(table, method, given.settings), costs[RANDOM][: given.settings]))
        written(out, report)
    written(out, report)
    print(text_of(report))


if __name__ == "__main__":
    main()
