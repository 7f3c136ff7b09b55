"""Measures the cost of searches until they have found a good configuration, simulated on a table of real runs.

    python benchmarks/search_quality.py benchmarks/results/DATE-search-quality.jsonl [--seeds 200] [--out
    benchmarks/results/DATE-search-quality]

`quality_table.py` writes the table; `quality_search.py` says which parts are real and which are replaced. Cost is
counted in executed FLOPs, branches included, in units of the mean full run. The goal is a finished run with a regret
(loss - best) / (median - best) of at most 5 %. Writes OUT.json, OUT.md and OUT.png. Each search is kept in
OUT-searches.jsonl as it ends, so the same command continues an interrupted one, and more seeds later cost only the
additional searches.
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
from benchmarks.quality_halving import at_random  # noqa: E402
from benchmarks.quality_picture import draw  # noqa: E402
from benchmarks.quality_search import Found, Method, Searches, Table, load_table, rank_correlations  # noqa: E402
from benchmarks.quality_summary import median_of, number, paired, ratio_of_medians, text_table  # noqa: E402
from pld_search.records import jsonl  # noqa: E402
from pld_search.spaces.early_stopping import Asha, Hyperband, Promotion  # noqa: E402

GOAL, LOOSER, TRIALS = 0.05, 0.2, 60
RANDOM, STOPS, PROMOTES = "random", "TPE + stop-only halving", "TPE + promotion"
METHODS = (
    Method(RANDOM, "random"),
    Method("TPE", "tpe"),
    Method("TPE + Hyperband", "tpe", Hyperband(kind="hyperband")),
    Method(STOPS, "tpe", Asha(kind="asha")),
    Method(PROMOTES, "tpe", Promotion(kind="promotion")),
    Method("TPE + promotion, 10 %, 3", "tpe", Promotion(kind="promotion", min=0.1, eta=3)),
)
"""Rungs and eta by default: half goes on at 30 %. In the last method a third goes on at 10 % and 30 %."""
SETTINGS = (
    (0.05, 2),
    (0.05, 4),
    (0.1, 2),
    (0.1, 3),
    (0.1, 4),
    (0.2, 2),
    (0.2, 3),
    (0.2, 4),
    (0.3, 2),
    (0.3, 3),
    (0.4, 2),
    (0.4, 3),
)
"""(min, eta) of promotion for which the table has every rung."""


def searched(searches: Searches, methods: Sequence[Method], seeds: int) -> dict[str, list[Found]]:
    """Returns the searches by method, one for each seed. All methods of a seed run before the next seed, so results at
    any moment are comparable.
    """
    rows = [{method.name: searches(method, seed, GOAL, LOOSER) for method in methods} for seed in range(seeds)]
    return {method.name: [row[method.name] for row in rows] for method in methods}


def row_of(name: str, found: Sequence[Found], random: Sequence[Found], goal: float) -> dict[str, Any]:
    """Returns a method's line: the cost of a goal, also relative to random search on the same seeds, and counts of the
    searches until they reached GOAL.
    """
    costs = [each.cost_to(goal) for each in found]
    against = [each.cost_to(goal) for each in random[: len(costs)]]
    ratio = dict(zip(("ratio", "ratio_low", "ratio_high"), ratio_of_medians(costs, against), strict=True))
    seen = {
        "asked": statistics.median(each.asked for each in found),
        "finished": statistics.median(each.finished for each in found),
    }
    shares = [each.branches / each.cost for each in found if each.cost]
    reached = sum(math.isfinite(cost) for cost in costs)
    return {
        "method": name,
        **asdict(median_of(costs)),
        **ratio,
        "reached": reached,
        **seen,
        "branch_share": statistics.mean(shares),
        "costs": costs,
    }


def about_table(path: Path, table: Table) -> dict[str, Any]:
    """Returns the space, the number of configurations that meet the goal, and the spread over seeds of the best one."""
    first, *rows = jsonl.read(path)
    meeting, looser = (sum(table.regret(loss) <= goal for loss in table.losses) for goal in (GOAL, LOOSER))
    best = min((row for row in rows if row["seed"] == 0), key=lambda row: float(row["loss"]))
    again = [row["loss"] for row in rows if row["params"] == best["params"]]
    noise = statistics.stdev(again) if len(again) > 1 else None
    return {
        "table": path.name,
        "configurations": len(table),
        "meeting": meeting,
        "meeting_looser": looser,
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
    out.with_suffix(".json").write_text(json.dumps(_finite(report)) + "\n")
    out.with_suffix(".md").write_text(text_of(report) + "\n")


def _finite(value: Any) -> Any:
    """Replaces infinity by null, because JSON has no infinity."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return (None if math.isinf(value) else round(value, 5)) if isinstance(value, float) else value


def text_of(report: Mapping[str, Any]) -> str:
    about, seeds = report["about"], report["seeds"]
    spread = about["median"] - about["best"]
    noise = ""
    if about["seed_sd"]:
        noise = (
            f"; further seeds of the best: standard deviation {about['seed_sd']:.4f}, a regret of "
            f"{100 * about['seed_sd'] / spread:.0f} %"
        )
    parts = [
        f"# Search quality: {about['configurations']} configurations, {seeds} simulated searches a method",
        f"Loss: best {about['best']:.4f}, median {about['median']:.4f}, worst {about['worst']:.4f}, unigram "
        f"entropy {about['unigram_entropy']:.4f}{noise}. "
        f"A regret of 5 % is a loss of {about['best'] + GOAL * spread:.4f}: "
        f"that or less: {about['meeting']} of the configurations, a regret of at most 20 %: {about['meeting_looser']}.",
        "Cost in full runs until a finished run has a regret of at most 5 %:",
        _methods_text(report["methods"], seeds),
        "Until one of at most 20 %:",
        _methods_text(report["looser"], seeds),
    ]
    for name, share in (("settings", 5), ("looser_settings", 20)):
        parts += [
            f"Promotion by its settings, configurations in random orders, until one of at most {share} %:",
            _methods_text(report[name], seeds),
        ]
    parts += [_paired_text(each) for each in report["paired"]]
    correlations = [
        {"share": f"{100 * row['share']:g} %", "trunk": _signed(row["trunk"]), "branch": _signed(row["branch"])}
        for row in report["correlations"]
    ]
    parts += ["Rank correlation (Spearman) of the loss at a rung with that at the end, over all configurations:"]
    parts.append(
        text_table(correlations, (("share", "rung"), ("trunk", "trunk, undecayed"), ("branch", "branch, decayed")))
    )
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
    headings = (
        "method",
        "median",
        "95 % of the median",
        "quartiles",
        "to random",
        "reached",
        "asked",
        "of it branches",
    )
    return text_table(lines, list(zip(lines[0], headings, strict=True)))


def _paired_text(found: Mapping[str, Any]) -> str:
    goal = (
        f"For a regret of {100 * found['goal']:g} % promotion costs, on the same seeds, "
        f"{number(found['value'], 2)} of what stop-only halving costs"
    )
    interval = f"(median of the ratio; {number(found['low'], 2)} .. {number(found['high'], 2)})"
    return f"{goal} {interval}: less on {found['cheaper']}, more on {found['dearer']} of {found['of']} seeds."


def settings(table: Table, seeds: int) -> dict[str, list[Found]]:
    """Runs promotion with each setting on configurations in random orders: halving without a sampler's effect."""
    rules = {
        f"min {100 * share:g} %, eta {eta}": Promotion(kind="promotion", min=share, eta=eta) for share, eta in SETTINGS
    }
    return {name: [at_random(table, rule, seed) for seed in range(seeds)] for name, rule in rules.items()}


def picture(out: Path, report: Mapping[str, Any], found: Mapping[str, Sequence[Found]]) -> None:
    about = report["about"]
    goals = {
        goal: {row["method"]: row["costs"] for row in report[part]}
        for goal, part in ((GOAL, "methods"), (LOOSER, "looser"))
    }
    title = (
        f"{report['seeds']} simulated searches a method among {about['configurations']} trained configurations: "
        f"a regret of at most 5 %: {about['meeting']}, of at most 20 %: {about['meeting_looser']}"
    )
    draw(out.with_suffix(".png"), {name: [each.better for each in runs] for name, runs in found.items()}, goals, title)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--out", type=Path, help="default: beside the table, by its name")
    given = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    out, table = given.out or given.table.with_suffix(""), load_table(given.table)
    report: dict[str, Any] = {
        "facts": facts(),
        "goal": GOAL,
        "trials": TRIALS,
        "seeds": given.seeds,
        "about": about_table(given.table, table),
    }
    report |= {
        "methods": [],
        "looser": [],
        "settings": [],
        "looser_settings": [],
        "paired": [],
        "correlations": rank_correlations(table),
    }
    searches = Searches(table, out.with_name(f"{out.name}-searches.jsonl"), TRIALS)
    found = searched(searches, METHODS, given.seeds)
    for name, runs in found.items():
        report["methods"].append(row_of(name, runs, found[RANDOM], GOAL))
        report["looser"].append(row_of(name, runs, found[RANDOM], LOOSER))
    report["paired"] = [
        {"goal": goal, **paired(*([each.cost_to(goal) for each in found[name]] for name in (PROMOTES, STOPS)))}
        for goal in (GOAL, LOOSER)
    ]
    for goal, name in ((GOAL, "settings"), (LOOSER, "looser_settings")):
        report[name] = [
            row_of(setting, runs, found[RANDOM], goal) for setting, runs in settings(table, given.seeds).items()
        ]
    picture(out, report, found)
    written(out, report)
    print(text_of(report))


if __name__ == "__main__":
    main()
