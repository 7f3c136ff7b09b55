"""A study as LaTeX: its table, a methods paragraph, which cites the entries of bibliography.py, and the files of both.
The text needs no package beyond a standard LaTeX distribution.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pld_search.host.disk import write_atomically
from pld_search.records.study_record import view
from pld_search.report import wording
from pld_search.report.bibliography import DUNNETT, SCHUIRMANN, bibliography, source_of, sources
from pld_search.report.comparison import SystemRow, comparison
from pld_search.report.latex_text import cite, escaped
from pld_search.report.study_summary import Summary, summary
from pld_search.schedules.staged_values import stages_text
from pld_search.specs.experiment import Experiment

FOLDER = "paper"
_OPTIMIZERS = {None: "AdamW", "muon": "Muon for the matrices of layers and AdamW for the rest"}


def latex_table(table: Sequence[SystemRow], about: Summary) -> str:
    """Returns the declared rows: model, steps, primary metric and spread, difference and interval, verdict, TFLOP.

    Numbers of seeds stand in the table only if they differ, and so do options of the models; `methods` states the rest.
    """
    primary, rows = str(about.decide.primary), [row for row in table if row.system is not None]
    heads = ("system", "model", "steps", primary, f"less {about.reference}", "verdict", "TFLOP")
    seeds = {spread.n for row in rows if (spread := row.metrics.get(primary)) is not None}
    models = _models(rows)
    lines = [
        r"\begin{tabular}{@{}llrrrlr@{}}",
        r"\hline",
        " & ".join(map(escaped, heads)) + r" \\",
        r"\hline",
        *(
            " & ".join(map(escaped, _cells(row, primary, model, counted=len(seeds) > 1))) + r" \\"
            for row, model in zip(rows, models, strict=True)
        ),
        r"\hline",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _models(rows: Sequence[SystemRow]) -> list[str]:
    """Each row's model by its size and by what not all rows share."""
    parts = [row.model.split(", ") for row in rows]
    common = set.intersection(*(set(own[1:]) for own in parts)) if parts else set()
    return [
        ", ".join([own[0].replace(" x ", " × "), *(part for part in own[1:] if part not in common)]) for own in parts
    ]


def _cells(row: SystemRow, primary: str, model: str, counted: bool) -> list[str]:
    spread, found = row.metrics.get(primary), row.differences.get(primary)
    words = "reference" if row.is_reference else wording.verdict(row, primary) or row.no_verdict
    words = words.partition(":")[0].partition(" within ")[0]  # the margin stands in the methods
    around = wording.spread_text(spread)
    around = around if counted else around.partition(" (n =")[0].removeprefix("n = 1")
    value = " ".join(part for part in (wording.mean(spread), around) if part)
    difference = " ".join(part for part in (wording.difference_text(found), wording.half_width_text(found)) if part)
    cost = wording.compact(row.cost.tflop if row.cost is not None else None)
    return [row.label, model, wording.count(row.steps), value, difference, words, cost]


def methods(table: Sequence[SystemRow], about: Summary) -> str:
    """Returns one paragraph: the training, the data, the budget, how rows were tuned and judged, and the versions."""
    return " ".join(_sentences(table, about)) + "\n"


def _sentences(table: Sequence[SystemRow], about: Summary) -> Iterator[str]:
    """The paragraph's sentences, as LaTeX."""
    rows = [row for row in table if row.system is not None]
    reference = next((row for row in rows if row.is_reference), rows[0] if rows else None)
    if reference is None or reference.experiment is None:
        yield escaped(f"The study {about.name} has trained no declared row.")
        return
    seeds = sorted({row.finished for row in rows})
    several = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    published = sources(rows)
    named = ", ".join(escaped(row.label) + _source(row, published) for row in rows)
    yield (
        f"We compared {len(rows)} systems ({named}) with {several} seeds each; runs of one seed share initial values "
        "and the order of the data."
    )
    yield escaped(_training(reference.experiment, about))
    tuned = [row for row in rows if row.tuned is not None]
    if tuned:
        rates = max(len(row.tuned.trials) for row in tuned if row.tuned is not None)
        yield escaped(
            f"The learning rate of {', '.join(row.label for row in tuned)} is the vertex of a quadratic in its "
            f"logarithm through one run at each of {rates} rates, on a seed of its own."
        )
    yield from _tests(about)
    yield escaped(_origin(about))


def _source(row: SystemRow, published: Mapping[str, str]) -> str:
    """The citation of a row's schedule, by the row that first named its source; empty for one without a reference."""
    source = source_of(row)
    return next((cite(key) for key, stated in published.items() if stated == source), "")


def _training(what: Experiment, about: Summary) -> str:
    tokens = (about.corpus.get("tokens") or {}).get("train")
    text = f" on {tokens:,} training tokens" if tokens else ""
    optimizer, batch, model = what.optimizer, stages_text(what.batch.sequences), what.model
    built = ", ".join((f"{model.heads} heads", f"{model.norm}-norm", f"{model.positions} positions", *model.said))
    return (
        f"The reference, {about.reference}, is an encoder of {model.layers} layers of width {model.hidden} "
        f"({built}){text}, trained for {what.steps:,} steps of {batch} sequences of {what.data.final_length} tokens "
        f"with {_OPTIMIZERS[optimizer.kind]} (peak learning rate {optimizer.lr:g}, {optimizer.shape}, warm-up "
        f"{optimizer.warmup}) in {what.precision}; the budget is {about.budget}."
    )


def _tests(about: Summary) -> Iterator[str]:
    level = f"{100 * (1 - about.decide.alpha):g} %"
    judged = (
        f"Rows are judged by {about.decide.primary}: differences of runs of equal seed, with intervals that hold for "
        f"all rows at once at {level}"
    )
    yield f"{escaped(judged)}{cite(DUNNETT)}; rows of another architecture are judged by the spread of their own pairs."
    if about.decide.margin is not None:
        one_sided = f"A difference within {about.decide.margin} counts as none, by two one-sided tests"
        yield f"{escaped(one_sided)}{cite(SCHUIRMANN)}."
    if about.looks > 1:
        yield escaped(
            f"Seeds were added in at most {about.looks} declared looks, each with an equal part of the error."
        )


def _origin(about: Summary) -> str:
    """Commit and versions of what trained the runs."""
    versions = about.provenance.get("versions") or {}
    named = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    commit = str(about.provenance.get("commit") or "")
    at = f" at commit {commit[:10]}{' with changes' if commit.endswith('+') else ''}" if commit else ""
    return f"Trained with pld-search{at}{f' ({named})' if named else ''}."


def write_paper(folder: Path) -> Path:
    """Writes table.tex, methods.tex and references.bib into `folder`/paper and returns its path. Raises OSError."""
    seen = view(folder)
    about, table = summary(seen), comparison(seen)
    out = folder / FOLDER
    out.mkdir(exist_ok=True)
    texts = {
        "table.tex": latex_table(table, about),
        "methods.tex": methods(table, about),
        "references.bib": bibliography(table),
    }
    for name, text in texts.items():
        write_atomically(out / name, text)
    return out
