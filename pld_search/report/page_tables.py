"""The tables of the page: systems side by side, downstream scores, every run."""

from __future__ import annotations

from collections.abc import Sequence

from pld_search.report import figures, table_cells, wording
from pld_search.report.comparison import SystemRow, downstream
from pld_search.report.html_markup import Markup, tag
from pld_search.report.run_rows import Row
from pld_search.report.study_summary import Summary

_SCORES = (
    "After fine-tuning at full depth; higher is better. Below each score: the difference to the reference, and half of its interval. "
    "An average is the mean over tasks of each task's mean metric."
)
_LOSSES = ("valid/loss", "test/loss")


def comparison_section(table: Sequence[SystemRow], about: Summary) -> Markup:
    """Every system and sampled trial with its losses, difference, cost, savings, speed and divergence."""
    colour = figures.colours(table)
    best = {name: table_cells.best(table, name) for name in _LOSSES}
    primary = str(about.decide.primary)
    lines = [table_cells.line(row, table, *_quality(row, colour, best, primary), *_spent(row)) for row in table]
    return tag(
        "section",
        tag("h2", "Systems side by side"),
        tag("p", _protocol(about), class_="soft"),
        table_cells.grid(_headings(about), lines),
        tag("p", wording.rule(about, table), class_="soft"),
    )


def _headings(about: Summary) -> list[Markup]:
    return [
        table_cells.heading("system", "schedule", left=True),
        table_cells.heading("model", left=True),
        table_cells.heading("steps"),
        table_cells.heading("tuning", "trials"),
        table_cells.heading("valid/loss", "mean ± sd"),
        table_cells.heading(
            f"{about.decide.primary}", f"less {about.reference}" if about.reference else "less the reference"
        ),
        table_cells.heading("verdict", left=True),
        table_cells.heading("below unigram", "nats"),
        table_cells.heading("test/loss", "mean ± sd"),
        table_cells.heading("TFLOP", "executed"),
        table_cells.heading("saved", "blocks / all"),
        table_cells.heading("tokens/s", "vs full depth"),
        table_cells.heading("runs", "divergence", left=True),
    ]


def _quality(row: SystemRow, colour: dict[str, str], best: dict[str, SystemRow | None], primary: str) -> list[Markup]:
    return [
        table_cells.name(row, colour),
        _model(row),
        table_cells.cell(wording.count(row.steps)),
        table_cells.cell(str(row.tuning_trials) if row.system is not None else wording.NONE),
        table_cells.spread(row.metrics.get("valid/loss"), best["valid/loss"] is row, wording.shrunken_text(row)),
        table_cells.difference(row, primary),
        table_cells.cell(wording.number(row.below_unigram)),
        table_cells.spread(row.metrics.get("test/loss"), best["test/loss"] is row),
    ]


def _model(row: SystemRow) -> Markup:
    size, _, kind = row.model.partition(", ")
    return table_cells.cell(size, kind or None, "left")


def _spent(row: SystemRow) -> list[Markup]:
    return [
        table_cells.cost(row),
        table_cells.cell(wording.percent(row.mean("saved/block_flops")), wording.percent(row.mean("saved/flops"))),
        table_cells.cell(
            wording.compact(row.mean("speed/tokens_per_second")), wording.times(row.mean("speed/relative"))
        ),
        _states(row),
    ]


def _protocol(about: Summary) -> str:
    if about.equal == "flops":
        text = (
            "Every row was given the steps that its expected FLOPs buy within the reference's budget; executed FLOPs agree up to the sampling of layers "
            "(four standard deviations and one step)."
        )
    elif about.equal == "steps":
        text = "Every row ran the same number of steps: rows that drop layers spent fewer FLOPs."
    else:
        text = "Losses are masked-LM losses in nats at full depth."
    return f"{text} Means are over finished seeds; test data were never seen by the search."


def _states(row: SystemRow) -> Markup:
    chips = [
        table_cells.pill(f"{count} {state}", table_cells.PILLS.get(state, ""))
        for state, count in sorted(row.states.items())
    ]
    return tag(
        "td", *chips, tag("small", f"diverged: {wording.divergence_text(row)}") if row.diverged else None, class_="left"
    )


def downstream_section(table: Sequence[SystemRow]) -> Markup | None:
    """The table of fine-tuning scores, one column a task; None where no row was fine-tuned."""
    names = downstream(table)
    if not names:
        return None
    colour = figures.colours(table)
    leaders = {name: table_cells.best(table, name) for name in names}
    lines = [
        table_cells.line(
            row,
            table,
            table_cells.name(row, colour),
            *[_score(row, name, leaders[name] is row) for name in names],
        )
        for row in table
        if any(name in row.metrics for name in names)
    ]
    headings = [
        table_cells.heading("system", left=True),
        *[table_cells.heading(name.split("/", 1)[1], name.split("/", 1)[0]) for name in names],
    ]
    return tag(
        "section",
        tag("h2", "Downstream scores"),
        tag(
            "p",
            _SCORES,
            class_="soft",
        ),
        table_cells.grid(headings, lines),
    )


def _score(row: SystemRow, name: str, best: bool) -> Markup:
    spread, found = row.metrics.get(name), row.differences.get(name)
    sd = f" ± {spread.sd:.3f}" if spread is not None and spread.sd is not None else ""
    said = (wording.difference_text(found), wording.half_width_text(found), wording.verdict(row, name))
    below = " ".join(part for part in said if part) if found is not None else None
    return table_cells.cell(wording.mean(spread) + sd, below, "best" if best else None)


_RUN_METRICS = (
    ("valid/loss", "valid/loss", 3),
    ("test/loss", "test/loss", 3),
    ("progress/tflop", "TFLOP", 2),
    ("progress/seconds", "seconds", 0),
    ("speed/tokens_per_second", "tokens/s", 0),
)


_LEFT = ("system", "schedule", "state")


def runs_section(table: Sequence[Row]) -> Markup:
    """A line a run, with its identity."""
    averages = sorted({name for row in table for name in row if name.endswith("/average")})
    metrics = [*_RUN_METRICS, *((name, name, 3) for name in averages)]
    headings = [
        table_cells.heading(name, left=name in _LEFT)
        for name in ("trial", "seed", "system", "schedule", "state", "step", "executed")
    ]
    headings += [table_cells.heading(label) for _, label, _ in metrics] + [table_cells.heading("digest", left=True)]
    lines = [
        tag(
            "tr",
            *_run_cells(row),
            *[table_cells.cell(wording.number(row.get(name), digits)) for name, _, digits in metrics],
            _digest(row),
        )
        for row in table
    ]
    note = tag("p", "Executed steps count those repeated after an interruption.", class_="soft")
    return tag("section", tag("h2", "Every run"), note, table_cells.grid(headings, lines))


def _run_cells(row: Row) -> list[Markup]:
    done = f"{row['step']:,} / {row['steps']:,}" if row["steps"] is not None else wording.count(row["step"])
    return [
        table_cells.cell(str(row["trial"])),
        table_cells.cell(str(row["seed"])),
        table_cells.cell(row["system"] or row["kind"], "tuning" if row["kind"] == "tuning" else None, "left"),
        table_cells.cell(row["schedule"], None, "left wrap"),
        tag(
            "td",
            table_cells.pill(row["state"], table_cells.PILLS.get(row["state"], "")),
            *[tag("small", text) for text in _remarks(row)],
            class_="left wrap",
        ),
        table_cells.cell(done),
        table_cells.cell(wording.count(None if row["reused_from"] else row["executed_steps"])),
    ]


def _remarks(row: Row) -> list[str]:
    """What stands below a state: why, and whose result it is."""
    reused = (
        f"equal to trial {row['reused_from'].replace('/', ' seed index ')}, trained once"
        if row["reused_from"]
        else None
    )
    return [text for text in (row["reason"], reused) if text]


def _digest(row: Row) -> Markup:
    digest = str(row["digest"] or "")
    return tag("td", tag("code", digest.removeprefix("sha256:")[:12], title=digest), class_="left")
