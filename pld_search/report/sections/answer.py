"""The head of the page: the answer in sentences, and tiles with the winner, its difference and its costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pld_search.report import headline, wording
from pld_search.report.comparison import SystemRow
from pld_search.report.html_markup import Markup, join, tag
from pld_search.report.leading_row import lead_text, runs_text
from pld_search.report.page_facts import PageFacts
from pld_search.report.row_names import configuration, otherwise
from pld_search.report.step_cost import step_cost
from pld_search.report.table_cells import PILLS, VERDICTS, pill
from pld_search.specs.metrics import unit_text

_MOST = 4
"""Maximum number of differences to the reference in the winner's tile."""
_NOTHING = 1e-3


@dataclass(frozen=True, slots=True)
class Tile:
    """One fact: its question, its value and its meaning; `kind` colours the value."""

    question: str
    value: str
    meaning: str | Markup
    kind: str = ""


def head(facts: PageFacts) -> Markup:
    """Returns name and state, the answer, the tiles and the waivers."""
    about = facts.about
    sentences = answer(facts)
    return tag(
        "header",
        tag("h1", about.name),
        tag("p", _state(facts), class_="state"),
        tag("p", text, class_="soft") if (text := facts.view.study.definition.about) else None,
        tag("p", sentences[0], class_="answer") if sentences else None,
        tag("ul", *(tag("li", each) for each in sentences[1:]), class_="more") if len(sentences) > 1 else None,
        tag("div", *map(_tile, tiles(facts)), class_="tiles"),
        _waivers(facts),
    )


def _state(facts: PageFacts) -> Markup:
    about = facts.about
    fresh = about.winner is not None and about.winner.basis == "confirmed"
    confirmed = pill("confirmed on fresh seeds", "good") if fresh else pill("not confirmed", "warn")
    said = tag("span", f"{runs_text(about.states)} · {about.budget}", class_="soft")
    return join(pill(about.state, PILLS.get(about.state, "warn")), Markup(" "), confirmed, Markup(" "), said)


def answer(facts: PageFacts) -> list[str]:
    """Returns the sentences of the answer, the most important first."""
    said = headline.lines(facts.table, facts.about)
    if facts.best is not None and not said:
        said.append(lead_text(facts.best, facts.about))
    above = [row.label for row in facts.table if row.below_unigram is not None and row.below_unigram < 0]
    if above:
        names = ", ".join(above[:6]) + (f" and {len(above) - 6} more" if len(above) > 6 else "")
        said.append(f"Above the unigram entropy, so nothing was learnt but word frequencies: {names}.")
    return said


def tiles(facts: PageFacts) -> Iterator[Tile]:
    """Yields the tiles with the main facts; a tile without an answer is left out."""
    best, reference = facts.best, facts.reference
    if best is not None:
        yield _winner(best, facts)
        if reference is not None and best is not reference:
            yield from _difference(best, facts)
        yield _loss(best, facts)
        yield from _step(best, reference)
        if (best.mean("saved/block_flops") or 0.0) > _NOTHING:
            saved = (
                f"of the blocks' FLOPs, {wording.percent(best.mean('saved/flops'))} of all, against its own "
                "layers at every step"
            )
            yield Tile("saved by dropping", wording.percent(best.mean("saved/block_flops")), saved)
    about = facts.about
    yield Tile(
        "the study cost", f"{wording.compact(about.tflop)} TFLOP", f"in {wording.duration(about.seconds)} of training"
    )


def _winner(best: SystemRow, facts: PageFacts) -> Tile:
    reference = facts.reference
    if reference is None or best is reference:
        meaning = "the reference itself" if best is reference else configuration(best)
    else:
        found = list(otherwise(best, reference))
        more = [f"{len(found) - _MOST} more"] if len(found) > _MOST else []
        meaning = "; ".join([*found[:_MOST], *more]) or "the same configuration as the reference"
    return Tile(f"best {facts.about.objective}", best.label, meaning)


def _difference(best: SystemRow, facts: PageFacts) -> Iterator[Tile]:
    primary = str(facts.about.decide.primary)
    found = best.differences.get(primary)
    if found is None:
        return
    unit = unit_text(primary)
    words = wording.verdict(best, primary) or best.no_verdict
    kind = VERDICTS.get(found.verdict, "") if found.verdict is not None else ""
    text = f"{wording.difference_text(found)}{f' {unit}' if unit else ''}"
    said = f"{primary} less {facts.about.reference}'s"
    if found.interval is not None:
        low, high = found.interval
        said = f"{wording.signed(low)} to {wording.signed(high)}; {said}"
    yield Tile("difference", text, join(pill(words, kind) if words else None, Markup(" "), said))


def _loss(best: SystemRow, facts: PageFacts) -> Tile:
    name, about = facts.about.objective, facts.about
    said = wording.spread_text(best.metrics[name])
    kind = ""
    if best.below_unigram is not None and about.entropy is not None:
        side, kind = ("below", "") if best.below_unigram >= 0 else ("above", "bad")
        said += f"; {abs(best.below_unigram):.2f} nats {side} the unigram entropy of {about.entropy:.2f}"
    return Tile(name, wording.mean(best.metrics[name]), said, kind)


def _step(best: SystemRow, reference: SystemRow | None) -> Iterator[Tile]:
    cost = step_cost(best, reference)
    if cost.flops is None or reference is None or best is reference:
        return
    seconds = f"{wording.percent(cost.seconds, 0)} of its seconds, as measured; " if cost.seconds is not None else ""
    steps = f"so {wording.count(best.steps)} steps instead of {wording.count(reference.steps)}"
    value = wording.percent(cost.flops, 0)
    yield Tile("a step costs", value, f"of the FLOPs of {reference.label}'s; {seconds}{steps}")


def _tile(tile: Tile) -> Markup:
    long = " long" if len(tile.value) > 18 else ""
    value = tag("b", tile.value, class_=(tile.kind + long).strip() or None)
    return tag("div", tag("small", tile.question), value, tag("span", tile.meaning), class_="tile")


def _waivers(facts: PageFacts) -> Markup | None:
    """Returns the conditions that the author waived, each with its reason."""
    waived = facts.about.waived
    if not waived:
        return None
    items = (tag("li", tag("strong", name), f": {why}") for name, why in waived.items())
    return tag("div", tag("p", "Waived by the study's author:"), tag("ul", *items), class_="waived")
