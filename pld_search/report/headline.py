"""The answer of a study in sentences: whether its depth can be judged, which rows are better, and what is undecided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pld_search.report import wording
from pld_search.report.comparison import NOTHING_SAVED, SystemRow
from pld_search.report.judged import Judged
from pld_search.report.study_summary import Summary
from pld_search.specs.metrics import unit_text
from pld_search.statistics.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Depth:
    """A full-depth row for the check of the depth: its layers, and its difference to the reference.

    difference: below 0 is better. verdict: None when the row has none. known: whether the difference has an interval.
    """

    label: str
    layers: int
    difference: float
    verdict: Verdict | None
    known: bool


def better_depth(reference_layers: int, rows: Iterable[Depth]) -> Depth | None:
    """Returns the shallower full-depth row that beats the reference most at equal FLOPs; None when no row does.

    A row beats the reference with the verdict `better`, or by its value alone when no interval is known: the
    reference's depth then has no support either.
    """
    ahead = [
        row
        for row in rows
        if row.layers < reference_layers
        and row.difference < 0
        and (row.verdict is Verdict.BETTER or (not row.known and row.verdict in (None, Verdict.UNDECIDED)))
    ]
    return min(ahead, key=lambda row: row.difference, default=None)


def lines(table: Sequence[SystemRow], about: Summary) -> list[str]:
    """Returns the sentences of the headline, the most important first; empty while no row can be compared."""
    reference = next((row for row in table if row.is_reference), None)
    if reference is None:
        return []
    said = [_depth_text(table, reference, about), *_verdict_texts(table, reference, about)]
    said.append(_frontier_text(reference, about))
    if about.late_looks:
        said.append("Post hoc: looks were declared after results had been seen.")
    if about.post_hoc:
        said.append("Post hoc: `decide` was changed after the first run.")
    return [sentence for sentence in said if sentence]


def words(table: Sequence[SystemRow], about: Summary) -> dict[int, str]:
    """Returns each trial's verdict or the reason why it has none; rows without either are left out."""
    primary = str(about.decide.primary)
    said = {row.trial: wording.verdict(row, primary) or row.no_verdict for row in table if not row.is_reference}
    return {trial: text for trial, text in said.items() if text}


def _depth_text(table: Sequence[SystemRow], reference: SystemRow, about: Summary) -> str:
    sign = 1.0 if about.decide.less_is_better else -1.0
    primary = str(about.decide.primary)
    depths = [
        Depth(row.label, row.layers, sign * found.value, found.verdict, found.interval is not None)
        for row in table
        if row.layers is not None and _full_depth(row) and (found := row.differences.get(primary)) is not None
    ]
    row = better_depth(reference.layers, depths) if reference.layers is not None else None
    if row is None:
        return ""
    sure = row.verdict is Verdict.BETTER
    return (
        f"Fewer layers {'are' if sure else 'look'} better at this budget: {row.label} ({row.layers} layers, full depth)"
        f" beats {reference.label} ({reference.layers} layers) by {wording.number(abs(row.difference))}{_unit(primary)}"
        f" on {primary}{'' if sure else ', with no spread known'}. The schedules are judged on the wrong depth."
    )


def _frontier_text(reference: SystemRow, about: Summary) -> str:
    """Returns `Frontier: the best dropped model (pld, 6 layers) is worse than the best full one (shallow, 4 layers),
    0.127 nats (0.080 to 0.170).`
    """
    if reference.frontier is None:
        return ""
    found, layers = reference.frontier.found, {point.label: point.layers for point in reference.frontier.points}
    words = {Verdict.EQUAL: f"equals, within {about.decide.margin},", Verdict.UNDECIDED: "is undecided against"}
    said = words.get(found.verdict, f"is {found.verdict.value} than")
    ends = found.interval
    between = "" if ends is None else f" ({wording.signed(ends[0])} to {wording.signed(ends[1])})"
    return (
        f"Frontier: the best dropped model ({found.best}, {layers[found.best]} layers) {said} the best full one "
        f"({found.other}, {layers[found.other]} layers), "
        f"{wording.signed(found.difference)}{_unit(str(about.decide.primary))}"
        f"{between}."
    )


def _full_depth(row: SystemRow) -> bool:
    """Whether a declared row drops nothing, has all its layers from the start, and spends at most the reference's
    FLOPs."""
    grows = row.experiment is not None and row.experiment.growth is not None
    saved, cost = row.mean("saved/block_flops"), row.cost
    dear = cost is None or cost.ratio is None or cost.tolerance is None or cost.ratio > 1 + cost.tolerance
    return row.system is not None and not grows and not dear and saved is not None and saved < NOTHING_SAVED


def _verdict_texts(table: Sequence[SystemRow], reference: SystemRow, about: Summary) -> Iterator[str]:
    primary = str(about.decide.primary)
    judged = [(row, found) for row in table if (found := row.differences.get(primary)) is not None and found.verdict]
    if not judged:
        reasons = [f"{row.label}: {row.no_verdict}" for row in table if row.system is not None and row.no_verdict]
        yield f"No verdict on {primary} yet{f' ({_listed(reasons)})' if reasons else ''}."
        return
    better = [(row, found) for row, found in judged if found.verdict is Verdict.BETTER]
    if better:
        said = _listed([f"{row.label} by {_amount(found, primary)}" for row, found in better])
        yield f"Better than {reference.label} on {primary}: {said}."
    else:
        yield f"No row is shown to be better than {reference.label} on {primary}."
    yield from _others(judged)


def _others(judged: Sequence[tuple[SystemRow, Judged]]) -> Iterator[str]:
    """Yields `Worse: random. Equal within 0.01 nats: td-only. Undecided: 3 more seeds would decide: pld.`"""
    words = dict.fromkeys(found.words for _, found in judged if found.verdict is not Verdict.BETTER)
    for word in words:
        labels = [row.label for row, found in judged if found.words == word]
        head, _, more = word.partition(": ")
        yield f"{head.capitalize()}: {_listed(labels)}{f' ({more})' if more else ''}."


def _amount(found: Judged, name: str) -> str:
    """Formats an amount: `0.041 nats (0.032 to 0.050)`."""
    text = f"{wording.number(abs(found.value))}{_unit(name)}"
    if found.interval is None:
        return text
    low, high = sorted(abs(end) for end in found.interval)
    return f"{text} ({wording.number(low)} to {wording.number(high)})"


def _unit(name: str) -> str:
    unit = unit_text(name)
    return f" {unit}" if unit else ""


def _listed(texts: Sequence[str], most: int = 6) -> str:
    shown = [*texts[:most], *([f"{len(texts) - most} more"] if len(texts) > most else [])]
    return ", ".join(shown)
