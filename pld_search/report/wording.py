"""How numbers read: one place for digits, signs and verdicts, so that terminal and page say the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pld_search.report.comparison import SystemRow
from pld_search.statistics.spread import CONFIDENCE, Difference, Pooled, Spread, quantile

NONE = "–"
NOT_RESOLVED = "not resolved"


def number(value: float | None, digits: int = 3) -> str:
    return NONE if value is None else f"{value:,.{digits}f}".replace("-", "−")


def mean(spread: Spread | None, digits: int = 3) -> str:
    return NONE if spread is None else number(spread.mean, digits)


def spread_text(spread: Spread | None, digits: int = 3) -> str:
    """`± 0.012 (n = 2)`, or `n = 1` where one seed has no spread."""
    if spread is None:
        return ""
    return f"± {spread.sd:.{digits}f} (n = {spread.n})" if spread.sd is not None else f"n = {spread.n}"


def signed(value: float, digits: int = 3) -> str:
    """With a true minus sign, and without a sign where it rounds to nothing."""
    text = f"{value:+.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", "−")


def difference_text(difference: Difference | None, digits: int = 3) -> str:
    return NONE if difference is None else signed(difference.value, digits)


def verdict(difference: Difference | None) -> str:
    """`resolved`, `not resolved`; with a paired test, by what, and the p that stands beside it. Nothing where there is
    no difference to judge.
    """
    return " ".join(verdict_lines(difference))


def verdict_lines(difference: Difference | None) -> list[str]:
    """The verdict in the lines of a narrow column. The spread between seeds decides; a p of the paired test does not,
    and says so.
    """
    if difference is None:
        return []
    text = "resolved" if difference.resolved else NOT_RESOLVED
    return (
        [text] if difference.paired is None else [text, "by spread,", "aside: paired", f"p = {difference.paired:.2g}"]
    )


def percent(value: float | None, digits: int = 1) -> str:
    return NONE if value is None else f"{100 * value:.{digits}f} %"


def count(value: int | None) -> str:
    return NONE if value is None else f"{value:,}"


def compact(value: float | None) -> str:
    """Three significant digits: a speed or a TFLOP count."""
    if value is None:
        return NONE
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def duration(seconds: float | None) -> str:
    """`43 s`, `7 min 05 s`, `3 h 20 min`."""
    if seconds is None:
        return NONE
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def params_text(params: Mapping[str, Any]) -> str:
    """`end = 0.8, lr = 0.003`: each name by as much of its dotted path as tells it from the others."""
    return ", ".join(
        f"{_short(name, list(params))} = {f'{value:.4g}' if isinstance(value, float) else value}"
        for name, value in params.items()
    )


def _short(name: str, names: list[str]) -> str:
    parts = name.split(".")
    for size in range(1, len(parts)):
        tail = ".".join(parts[-size:])
        if sum(other == tail or other.endswith(f".{tail}") for other in names) == 1:
            return tail
    return name


def times(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f} x"


def states_text(states: Mapping[str, int]) -> str:
    """`finished`, or `1 finished, 1 diverged`."""
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
    """`no`, or how many seeds diverged, at which step and how."""
    if not row.diverged:
        return "no" if row.finished else NONE
    diverged = [run for run in row.runs.values() if run.state == "diverged"]
    steps = [
        int(run.final["divergence/first_bad_step"]) for run in diverged if "divergence/first_bad_step" in run.final
    ]
    where = f" at step {min(steps):,}" if steps else ""
    kinds = ", ".join(sorted({DIVERGENCES[run.kind] for run in diverged if run.kind in DIVERGENCES}))
    return f"{row.diverged} of {row.planned}{where}" + (f" ({kinds})" if kinds else "")


def rule(pool: Pooled | None, planned: int = 1) -> str:
    """The rule for `resolved` in one sentence, with this study's numbers; `planned`: the most seeds that a row has."""
    if pool is None:
        more = "`seeds: 2` or more on the reference gives one."
        way = more if planned < 2 else f"it is known once two of a row's {planned} seeds have finished."
        return (
            "No row has two finished seeds, so the spread between seeds is unknown and no difference is resolved; "
            f"{way}"
        )
    factor = quantile(pool.freedom)
    return (
        f"A difference is resolved when it exceeds t · s · √(1/n + 1/m), n and m the seeds of the two rows: here s = {pool.sd:.4f} for valid/loss, pooled over "
        f"the rows with several seeds ({pool.freedom} degree{'s' if pool.freedom > 1 else ''} of freedom), and t = {factor:.2f} ({CONFIDENCE:.0%}, Student)."
    )


def cost_text(row: SystemRow) -> str:
    """The verdict on equal FLOPs: `equal`, or by how much the executed FLOPs are apart."""
    if row.is_reference:
        return "reference"
    if row.cost is None or row.cost.ratio is None:
        return NONE
    return "equal" if row.cost.equal else f"{signed(100 * (row.cost.ratio - 1), 1)} %"
