"""The pictures of the page, each with the sentence that says how to read it."""

from __future__ import annotations

from collections.abc import Sequence

from pld_search.frozen import canonical_json
from pld_search.records.run_record import RunRecord
from pld_search.report import figures, frontier
from pld_search.report.comparison import SystemRow
from pld_search.report.html_markup import Markup, tag
from pld_search.report.recorded_experiments import growth_text
from pld_search.report.single_schedule_figure import schedule_svg
from pld_search.report.study_summary import Summary

SCHEDULES_SHOWN = 12
_HOW_TO_READ = (
    "Left: the probability that a layer is kept, by layer and progress, blank where the layer does not exist yet. "
    "Right: theta and the expected share of layers."
)


def _figure(title: str, drawing: str | None, caption: str) -> Markup | None:
    if drawing is None:
        return None
    return tag("section", tag("h2", title), tag("figure", Markup(drawing), tag("figcaption", caption)))


def pareto_section(table: Sequence[SystemRow], about: Summary) -> Markup | None:
    """The picture of quality against cost; None where there is nothing to draw."""
    shown = {label for label, _ in figures.costs_of(table)}
    caption = "Lower left is better; the dashed line joins the rows that no other beats in both. Bars are one standard deviation over seeds."
    if "executed TFLOP" not in shown and about.equal == "flops":
        caption += " Whole runs executed equal FLOPs by design, so the cost shown is that of a step, and time as measured while runs shared the machine."
    return _figure("Quality against cost", figures.pareto_svg(table), caption)


def frontier_section(table: Sequence[SystemRow], about: Summary) -> Markup | None:
    """The picture of loss over depth; None where the study has no frontier."""
    found = next((row.frontier for row in table if row.frontier is not None), None)
    if found is None:
        return None
    return _figure(frontier.TITLE, frontier.frontier_svg(found, str(about.decide.primary)), frontier.CAPTION)


def curves_section(table: Sequence[SystemRow], about: Summary) -> Markup | None:
    """The picture of the learning curves; None where no run has validated yet."""
    return _figure(
        "Learning curves",
        figures.curves_svg(table, about.entropy),
        "Validation loss at full depth over what each run had executed by then; one line a run.",
    )


def schedules_section(table: Sequence[SystemRow]) -> Markup | None:
    """A picture of each distinct schedule, with the rows that follow it; None where no row has an experiment."""
    pictures: dict[str, Markup] = {}
    named: dict[str, list[str]] = {}
    for row in table:
        if row.experiment is None:
            continue
        schedule, steps, layers = row.experiment.schedule, row.experiment.steps, row.experiment.layers_at
        grown = growth_text(row.experiment, next(iter(row.runs.values()), RunRecord()))
        key = canonical_json(
            [
                schedule.model_dump(mode="json", exclude={"name", "about", "source"}),
                steps,
                row.experiment.model.layers,
                grown,
            ]
        )
        named.setdefault(key, []).append(row.label)
        if key not in pictures and len(pictures) < SCHEDULES_SHOWN:
            pictures[key] = tag(
                "figure",
                Markup(schedule_svg(schedule, steps, layers, f"schedule{len(pictures)}")),
                tag("figcaption", grown) if grown is not None else None,
            )
    if not pictures:
        return None
    blocks = [tag("div", tag("h3", ", ".join(named[key])), picture) for key, picture in pictures.items()]
    left = len(named) - len(pictures)
    return tag(
        "section",
        tag("h2", "Schedules"),
        tag("p", _HOW_TO_READ, class_="soft"),
        tag("div", *blocks, class_="schedules"),
        tag(
            "p",
            f"{left} more schedules of sampled trials are not drawn; their parameters are in the table above.",
            class_="soft",
        )
        if left
        else None,
    )
