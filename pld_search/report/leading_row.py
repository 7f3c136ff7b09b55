"""The row that leads a study and a sentence on it, the same in terminal, page and `best`."""

from __future__ import annotations

from collections.abc import Iterable

from pld_search.report import wording
from pld_search.report.comparison import SystemRow
from pld_search.report.study_summary import Summary


def runs_text(states: dict[str, int]) -> str:
    """Formats the number of runs and their states: `3 runs (2 finished, 1 running)`."""
    total = sum(states.values())
    return f"{total} run{'s' if total != 1 else ''} ({wording.states_text(states)})" if total else "no runs yet"


def leader(table: Iterable[SystemRow], about: Summary) -> SystemRow | None:
    """Returns the row of the study's winner (records/winner.py); None before there is one or when it has no value."""
    return next(
        (
            row
            for row in table
            if about.winner is not None and row.trial == about.winner.trial and about.objective in row.metrics
        ),
        None,
    )


def lead_text(best: SystemRow, about: Summary) -> str:
    """Returns `Best valid/loss: pld, 5.412; difference to full −0.041 (better); 0.59 nats below the unigram entropy;
    not confirmed.`
    """
    parts = [f"Best {about.objective}: {best.label}, {wording.mean(best.metrics[about.objective])}"]
    difference = best.differences.get(about.objective)
    if best.is_reference:
        parts.append("the reference itself")
    elif difference is not None:
        said = wording.verdict(best, about.objective) or best.no_verdict
        parts.append(
            f"difference to {about.reference} {wording.difference_text(difference)}{f' ({said})' if said else ''}"
        )
    if best.shrunken is not None:
        expected, trials = wording.number(best.shrunken.expected), best.shrunken.trials
        parts.append(f"a fresh run is expected to reach {expected}, given {trials} trials")
    if best.below_unigram is not None and about.entropy is not None:
        side = "below" if best.below_unigram >= 0 else "above"
        parts.append(f"{abs(best.below_unigram):.2f} nats {side} the unigram entropy of {about.entropy:.2f}")
    basis = about.winner.basis if about.winner is not None else "declared"
    parts.append("confirmed on fresh seeds" if basis == "confirmed" else "not confirmed")
    return "; ".join(parts) + "."
