"""Compares rows with the reference: an interval for each row, and a verdict when the study declared row and metric.

The declared systems are judged by the study's primary metric (statistics/compare.py). A row has no verdict

- when a run of it, or of the reference, did not finish: the surviving runs would be a biased sample;
- when the runs that it shows also selected it, as for sampled and tuned configurations: it is exploratory.

Its other metrics, and the rows of a search, have intervals only. After a confirmation the rows show the fresh seeds.
The contrast that was fixed before they ran is also judged by its further metrics, each only when the metric before was
decided (a fixed sequence, so that the error probability over all metrics stays at alpha).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pld_search.frozen import canonical_json
from pld_search.report.text_noise import NONE, TextNoise
from pld_search.spaces.decide import Decide
from pld_search.specs.experiment import Experiment
from pld_search.specs.metrics import metric
from pld_search.statistics.blocked import Variance
from pld_search.statistics.compare import Row, compare
from pld_search.statistics.permutation import sign_flip_p
from pld_search.statistics.verdict import Verdict

Values = Mapping[str, Mapping[int, float]]


@dataclass(frozen=True, slots=True)
class Judged:
    """A row minus the reference over the seeds they share, in the metric's unit.

    interval: holds for all rows of the comparison at once (95 % with alpha 0.05); None when no spread is known.
    verdict: better | worse | equal | undecided, None when only the interval is shown; words: its printed form. p:
    adjusted for all rows. flip_p: P of the exact sign-flip test, from six common seeds on. When losses are kept by
    document, text_share is the text's share of the variance, and bootstrap is this row's own interval over seeds and
    documents.
    """

    value: float
    seeds: int
    interval: tuple[float, float] | None = None
    p: float | None = None
    verdict: Verdict | None = None
    words: str = ""
    more_seeds: int | None = None
    flip_p: float | None = None
    text_share: float | None = None
    bootstrap: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Noise:
    """Variance of the differences in a metric that does not come from seeds. text: the documents, where losses are
    kept by document. fine_tuning: by row, the repeats within runs, for a score (fine_tuning_noise.py).
    """

    text: TextNoise = NONE
    fine_tuning: Mapping[str, Variance] | None = None


NO_NOISE = Noise()


def architecture(experiment: Experiment | None) -> str:
    """Returns the properties that rows must share to have the same spread over seeds: the model, and how it grows."""
    if experiment is None:
        return "unknown"
    growth = None if experiment.growth is None else experiment.growth.model_dump(mode="json")
    return canonical_json({"model": experiment.model.model_dump(mode="json"), "growth": growth})


def judge(
    values: Values,
    reference: str,
    name: str,
    decide: Decide,
    architectures: Mapping[str, str],
    *,
    verdicts: bool,
    noise: Noise = NO_NOISE,
    looks: int = 1,
) -> dict[str, Judged]:
    """Judges every row of `values` (row -> seed -> value of metric `name`) against `reference`, by name.

    verdicts: whether this metric judges these rows, in `looks` declared looks. Rows without a seed in common with the
    reference are left out.
    """
    shared = {row: runs for row, runs in values.items() if set(runs) & set(values.get(reference, {}))}
    if reference not in shared or len(shared) < 2:
        return {}
    found = compare(
        shared,
        reference,
        architecture={row: architectures[row] for row in shared},
        documents=noise.text.variances,
        fine_tuning=noise.fine_tuning,
        margin=decide.margin_value if verdicts else None,
        alpha=decide.alpha,
        looks=looks if verdicts else 1,
        less_is_better=metric(name).direction != "maximize",
    )
    flips = sign_flip_p(shared, [row.name for row in found.rows], reference) if verdicts else None
    judged = {row.name: _judged(row, decide, verdicts, (flips or {}).get(row.name)) for row in found.rows}
    return {row: _with_bootstrap(each, row, noise.text) for row, each in judged.items()}


def alone(
    values: Values,
    row: str,
    reference: str,
    decide: Decide,
    noise: Noise = NO_NOISE,
) -> Judged | None:
    """Returns the difference of a row that is not judged, with the interval of its own pairs (two at least)."""
    if not set(values.get(row, {})) & set(values.get(reference, {})):
        return None
    both = {reference: values[reference], row: values[row]}
    found = compare(both, reference, alpha=decide.alpha, documents=noise.text.variances, fine_tuning=noise.fine_tuning)
    return _with_bootstrap(_judged(found.rows[0], decide, False, None), row, noise.text)


def decided_at(judged: Judged, look: int, verdict: Verdict, decide: Decide) -> Judged:
    """Returns a row that an earlier look decided: its verdict stays, independent of later seeds of other rows."""
    words = f"equal within {decide.margin}" if verdict is Verdict.EQUAL and decide.margin else verdict.value
    return replace(judged, verdict=verdict, words=f"{words} (look {look})", more_seeds=None)


def _with_bootstrap(judged: Judged, row: str, text: TextNoise) -> Judged:
    drawn = text.intervals.get(row)
    return judged if drawn is None else replace(judged, bootstrap=(drawn.low, drawn.high))


def _judged(row: Row, decide: Decide, verdicts: bool, flip: float | None) -> Judged:
    if not verdicts:
        return Judged(row.difference, len(row.seeds), row.interval, row.p, text_share=row.text_share)
    most = max(0, decide.max_seeds - len(row.seeds))
    more = row.more_seeds(decide.power, most) if most else None
    words = row.text(decide.power, most) if most else row.verdict.value
    if row.verdict is Verdict.EQUAL and decide.margin is not None:
        words = f"equal within {decide.margin}"
    return Judged(row.difference, len(row.seeds), row.interval, row.p, row.verdict, words, more, flip, row.text_share)
