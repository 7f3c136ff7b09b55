"""A study as LaTeX: its table, a methods paragraph, and a bibliography of its schedules' sources. It needs no package
beyond a standard LaTeX distribution.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pld_search.report import wording
from pld_search.report.comparison import SystemRow
from pld_search.report.study_summary import Summary
from pld_search.specs.batch_sizes import sizes_text
from pld_search.specs.experiment import Experiment

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "–": "--",
    "±": r"$\pm$",
    "→": r"$\to$",
    **{sign: rf"\{sign}" for sign in "&%$#_{}"},
}
_TESTS = """@article{dunnett1955,
  author = {Dunnett, Charles W.}, year = {1955}, journal = {Journal of the American Statistical Association},
  title = {A multiple comparison procedure for comparing several treatments with a control},
  volume = {50}, pages = {1096--1121}
}
@article{schuirmann1987,
  author = {Schuirmann, Donald J.}, year = {1987}, journal = {Journal of Pharmacokinetics and Biopharmaceutics},
  title = {A comparison of the two one-sided tests procedure and the power approach}, volume = {15}, pages = {657--680}
}
"""


def escaped(text: str) -> str:
    """Escapes LaTeX's special characters.

    >>> escaped("5 % of a_b")
    '5 \\\\% of a\\\\_b'
    """
    return "".join(_SPECIAL.get(sign, sign) for sign in text)


def latex_table(table: Sequence[SystemRow], about: Summary) -> str:
    """Returns the declared rows: model, steps, primary metric and spread, difference and interval, verdict, TFLOP."""
    primary = str(about.decide.primary)
    lines = [
        r"\begin{tabular}{llrrrlr}",
        r"\hline",
        " & ".join(
            ("system", "model", "steps", escaped(primary), escaped(f"less {about.reference}"), "verdict", "TFLOP")
        )
        + r" \\",
        r"\hline",
        *(
            " & ".join(escaped(cell) for cell in _cells(row, primary)) + r" \\"
            for row in table
            if row.system is not None
        ),
        r"\hline",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _cells(row: SystemRow, primary: str) -> list[str]:
    spread, found = row.metrics.get(primary), row.differences.get(primary)
    words = "reference" if row.is_reference else wording.verdict(row, primary) or row.no_verdict
    value = " ".join(part for part in (wording.mean(spread), wording.spread_text(spread)) if part)
    difference = " ".join(part for part in (wording.difference_text(found), wording.half_width_text(found)) if part)
    cost = wording.compact(row.cost.tflop if row.cost is not None else None)
    return [row.label, row.model, wording.count(row.steps), value, difference, words, cost]


def methods(table: Sequence[SystemRow], about: Summary) -> str:
    """Returns one paragraph: the training, the data, the budget, how rows were tuned and judged, and the versions."""
    return " ".join(escaped(sentence) for sentence in _sentences(table, about)) + "\n"


def _sentences(table: Sequence[SystemRow], about: Summary) -> Iterator[str]:
    rows = [row for row in table if row.system is not None]
    reference = next((row for row in rows if row.is_reference), rows[0] if rows else None)
    if reference is None or reference.experiment is None:
        yield f"The study {about.name} has trained no declared row."
        return
    what = reference.experiment
    seeds = sorted({row.finished for row in rows})
    several = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    yield (
        f"We compared {len(rows)} systems ({', '.join(row.label for row in rows)}) with {several} seeds "
        "each; runs of one seed "
        f"share initial values and the order of the data."
    )
    yield _training(what, about)
    tuned = [row for row in rows if row.tuned is not None]
    if tuned:
        yield (
            f"The learning rate of {', '.join(row.label for row in tuned)} is the vertex of a quadratic in "
            "its logarithm "
            "through one run at each of "
            f"{max(len(row.tuned.trials) for row in tuned if row.tuned is not None)} rates, on a "
            f"seed of its own."
        )
    yield from _tests(about)
    versions = about.provenance.get("versions") or {}
    named = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    commit = about.provenance.get("commit")
    yield f"Trained with pld-search{f' at commit {commit}' if commit else ''}{f' ({named})' if named else ''}."


def _training(what: Experiment, about: Summary) -> str:
    tokens = (about.corpus.get("tokens") or {}).get("train")
    text = f" on {tokens:,} training tokens" if tokens else ""
    optimizer, batch = what.optimizer, sizes_text(what.batch.sequences)
    return (
        f"The reference, {about.reference}, is an encoder of {what.model.layers} layers of width {what.model.hidden} "
        f"({what.model.heads} heads, {what.model.norm}-norm, {what.model.positions} positions){text}, trained for "
        f"{what.steps:,} steps of {batch} sequences of {what.data.final_length} tokens with AdamW (peak learning rate "
        f"{optimizer.lr:g}, {optimizer.shape}, warm-up {optimizer.warmup}) in {what.precision}; the budget "
        f"is {about.budget}."
    )


def _tests(about: Summary) -> Iterator[str]:
    level = f"{100 * (1 - about.decide.alpha):g} %"
    yield (
        f"Rows are judged by {about.decide.primary}: differences of runs of equal seed, with intervals that "
        "hold for all rows "
        f"at once ({level}, Dunnett 1955), rows of another architecture by the spread of their own pairs."
    )
    if about.decide.margin is not None:
        yield f"A difference within {about.decide.margin} counts as none (two one-sided tests, Schuirmann 1987)."
    if about.looks > 1:
        yield f"Seeds were added in at most {about.looks} declared looks, each with an equal part of the error."


def bibliography(table: Sequence[SystemRow]) -> str:
    """Returns BibTeX of the sources of the rows' schedules, and of the tests."""
    found: dict[str, str] = {}
    for row in table:
        schedule = row.experiment.schedule if row.experiment is not None else None
        if schedule is not None and schedule.source:
            found.setdefault(schedule.source, schedule.name or row.label)
    return "".join(entry(name, source) for source, name in found.items()) + _TESTS


def entry(name: str, source: str) -> str:
    """Returns one `@misc` of a source in the form that schedules use: authors, "title", venue and year, arXiv number.

    >>> print(entry("pld", 'Zhang & He, "Accelerating", NeurIPS 2020, arXiv 2010.13369'))
    @misc{pld,
      author = {Zhang and He}, title = {{Accelerating}}, year = {2020}, eprint = {2010.13369}, archiveprefix = {arXiv},
      note = {Zhang \\& He, "Accelerating", NeurIPS 2020, arXiv 2010.13369}
    }
    <BLANKLINE>
    """
    head, quote, rest = source.partition('"')
    title, _, after = rest.partition('"')
    authors = head.strip(" ,").replace(" & ", " and ").replace(" et al.", " and others")
    fields = [f"author = {{{escaped(authors)}}}", f"title = {{{{{escaped(title)}}}}}"] if quote else []
    year = re.search(r"\b(19|20)\d\d\b", after if quote else source)
    arxiv = re.search(r"arXiv (\d{4}\.\d{4,5})", source)
    fields += [f"year = {{{year.group()}}}"] if year else []
    fields += [f"eprint = {{{arxiv.group(1)}}}, archiveprefix = {{arXiv}}"] if arxiv else []
    key = re.sub(r"[^A-Za-z0-9-]", "", name)
    lines = [
        f"@misc{{{key},",
        *([f"  {', '.join(fields)},"] if fields else []),
        f"  note = {{{escaped(source)}}}",
        "}",
        "",
    ]
    return "\n".join(lines)
