"""Texts on rows: verdicts, spreads and states, the same in terminal and page.

report/number_text.py formats single numbers; it is separate, because the table of a running study needs it too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pld_search.report.comparison import EXPLORATORY, SystemRow
from pld_search.report.judged import Judged
from pld_search.report.number_text import NONE as NONE
from pld_search.report.number_text import compact as compact
from pld_search.report.number_text import count as count
from pld_search.report.number_text import duration as duration
from pld_search.report.number_text import number as number
from pld_search.report.number_text import percent as percent
from pld_search.report.number_text import signed as signed
from pld_search.report.number_text import times as times
from pld_search.report.study_summary import Summary
from pld_search.statistics.permutation import LEAST_SEEDS
from pld_search.statistics.spread import Spread


def mean(spread: Spread | None, digits: int = 3) -> str:
    """Formats the mean over seeds: `5.412`; a dash when nothing was measured."""
    return NONE if spread is None else number(spread.mean, digits)


def spread_text(spread: Spread | None, digits: int = 3) -> str:
    """Formats `± 0.012 (n = 2)`, or `n = 1` for one seed, which has no spread."""
    if spread is None:
        return ""
    return f"± {spread.sd:.{digits}f} (n = {spread.n})" if spread.sd is not None else f"n = {spread.n}"


def difference_text(difference: Judged | None, digits: int = 3) -> str:
    """Formats a difference with its sign: `−0.031`; a dash for None."""
    return NONE if difference is None else signed(difference.value, digits)


def half_width_text(difference: Judged | None, digits: int = 3) -> str:
    """Formats half of the simultaneous interval, `± 0.012`; empty when no spread is known."""
    if difference is None or difference.interval is None:
        return ""
    low, high = difference.interval
    return f"± {(high - low) / 2:.{digits}f}"


def verdict(row: SystemRow, name: str) -> str:
    """Returns the verdict on a row by a metric; empty when only the interval is shown."""
    found = row.differences.get(name)
    return found.words if found is not None and found.words else ""


def verdict_lines(row: SystemRow, name: str) -> list[str]:
    """Returns interval and verdict as lines of a narrow column: `± 0.012`, `undecided:`, `3 more seeds`."""
    found = row.differences.get(name)
    words = verdict(row, name) or row.no_verdict
    head, colon, more = words.partition(": ")
    parts = [half_width_text(found), head + colon.strip(), more.removesuffix(" would decide")]
    if head.startswith("equal within "):
        parts[1:] = ["equal within", head.removeprefix("equal within ")]
    if found is not None and found.flip_p is not None:
        parts.append(f"flips p {found.flip_p:.2g}")
    return [part for part in parts if part]


def shrunken_text(row: SystemRow) -> str:
    """Formats `fresh 5.412 of 40`: the expected first objective of a new run of one of 40 trials."""
    found = row.shrunken
    return "" if found is None else f"fresh {number(found.expected)} of {found.trials}"


def states_text(states: Mapping[str, int]) -> str:
    """Formats `finished`, or `1 finished, 1 diverged`."""
    if len(states) == 1:
        (state, runs), *_ = states.items()
        return state if runs == 1 else f"{runs} {state}"
    return ", ".join(f"{runs} {state}" for state, runs in sorted(states.items()))


DIVERGENCES = {
    "nonfinite_loss": "loss not finite",
    "nonfinite_gradients": "gradients not finite",
    "loss_scale": "loss scale collapsed",
    "loss_spike": "loss spike",
    "at_chance": "loss stuck at chance",
    "nonfinite_validation": "validation loss not finite",
}


def divergence_text(row: SystemRow) -> str:
    """Formats `no`, or the number of diverged seeds with step and kind."""
    if not row.diverged:
        return "no" if row.finished else NONE
    diverged = [run for run in row.runs.values() if run.state == "diverged"]
    steps = [
        int(run.final["divergence/first_bad_step"]) for run in diverged if "divergence/first_bad_step" in run.final
    ]
    where = f" at step {min(steps):,}" if steps else ""
    kinds = ", ".join(sorted({DIVERGENCES[run.kind] for run in diverged if run.kind in DIVERGENCES}))
    return f"{row.diverged} of {row.planned}{where}" + (f" ({kinds})" if kinds else "")


def rule(about: Summary, table: Sequence[SystemRow]) -> str:
    """Explains this study's verdicts in a few sentences with its own numbers."""
    if about.reference is None:
        return "Without a reference no difference is stated."
    primary, judged = str(about.decide.primary), [row for row in table if not row.no_verdict and not row.is_reference]
    margin = f"; equal is within {about.decide.margin}" if about.decide.margin else "; no margin says what is equal"
    converted = next((row.margin for row in table if row.is_reference and row.margin is not None), None)
    margin += f" ({converted.text})" if converted is not None else ""
    text = (
        f"Verdicts are on {primary}, for the systems that the study declares{margin}. Runs of one seed are compared "
        f"with each other, and ± is half of an interval that holds for all rows at once "
        f"({percent(1 - about.decide.alpha, 0)}). Other metrics and rows show intervals only."
    )
    if about.looks > 1:
        text += (
            f" Seeds were bought while they helped: at most {about.looks} looks, each with a part of the "
            "error, and a row "
            f"that is decided stays decided."
        )
    if judged and not any(row.differences[primary].interval for row in judged if primary in row.differences):
        text += " No spread is known yet: a row and the reference need two seeds in common."
    if any(row.no_verdict == EXPLORATORY for row in table):
        text += (
            " Exploratory rows were chosen by the runs they show; “fresh” is what a new run is expected to "
            "reach, given "
            "how many trials there were."
        )
    if any(found.flip_p is not None for row in table for found in row.differences.values()):
        text += f" From {LEAST_SEEDS} seeds on the exact sign-flip test stands beside it (flips p); it decides nothing."
    return text


def cost_text(row: SystemRow) -> str:
    """Formats the verdict on equal FLOPs: `equal`, or the relative difference of the executed FLOPs."""
    if row.is_reference:
        return "reference"
    if row.cost is None or row.cost.ratio is None:
        return NONE
    return "equal" if row.cost.equal else f"{signed(100 * (row.cost.ratio - 1), 1)} %"
