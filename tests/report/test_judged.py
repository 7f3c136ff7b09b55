"""Verdicts of the report: who is judged, by what, and how often a study without differences is told of one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pld_search.records.study_events import ContrastFixed, TrialConfirming
from pld_search.records.study_record import view
from pld_search.report.comparison import SystemRow, comparison
from pld_search.report.judged import alone, judge
from pld_search.spaces.decide import Decide
from pld_search.statistics.compare import compare
from pld_search.statistics.permutation import sign_flip_p
from pld_search.statistics.selection import shrunken
from tests.report.studies import FULL, PLD, Folder, experiment, schedule

NOISE = ((0.0, 0.001, -0.002), (0.001, 0.0, 0.002), (-0.001, 0.002, 0.0), (0.002, -0.001, 0.001))
SEEDS = (0.0, 0.05, -0.03)
DECIDE = {"margin": "0.02 nats", "max_seeds": 20}


def of(table: list[SystemRow], label: str) -> SystemRow:
    return next(row for row in table if row.label == label)


def study(path: Path, means: dict[str, float], **definition: object) -> Folder:
    """Systems over three seeds each: a mean, what their seed adds to every row, and noise of about 0.001."""
    folder = Folder(path, systems=list(means), reference="full", **definition)
    for (name, mean), noise in zip(means.items(), NOISE, strict=False):
        what = experiment(FULL if name == "full" else schedule(name, 0.5 + len(name) / 100))
        trial = folder.ask(what, name, seeds=(0, 1, 2))
        for index, (seed, own) in enumerate(zip(SEEDS, noise, strict=True)):
            folder.run(trial, what, mean + seed + own, index, demo__average=0.6 + own)
    return folder


def test_each_of_the_four_verdicts(tmp_path: Path) -> None:
    means = {"full": 5.0, "good": 4.9, "same": 5.001, "bad": 5.1}
    table = comparison(view(study(tmp_path / "four", means, decide=DECIDE).complete()))
    words = {row.label: row.differences["valid/loss"].words for row in table[1:]}
    assert words == {"good": "better", "same": "equal within 0.02 nats", "bad": "worse"}
    near = comparison(view(study(tmp_path / "near", {"full": 5.0, "near": 4.996}).complete()))
    found = of(near, "near").differences["valid/loss"]
    assert found.verdict == "undecided"
    assert found.words == f"undecided: {found.more_seeds} more seeds would decide"


def test_one_metric_is_judged_and_the_others_show_intervals(tmp_path: Path) -> None:
    (_, good) = comparison(view(study(tmp_path / "one", {"full": 5.0, "good": 4.9}).complete()))
    assert {name: found.verdict for name, found in good.differences.items()} == {
        "valid/loss": "better",
        "test/loss": None,
        "demo/average": None,
    }
    assert good.differences["test/loss"].interval is not None


def test_a_score_as_primary_metric_is_better_where_it_is_more(tmp_path: Path) -> None:
    decide = {"primary": "demo/average", "margin": "1 %"}
    (_, same) = comparison(view(study(tmp_path / "score", {"full": 5.0, "same": 5.0}, decide=decide).complete()))
    assert same.differences["demo/average"].words == "equal within 1 %"
    rows = {"full": {0: 0.5, 1: 0.52}, "more": {0: 0.7, 1: 0.72001}}
    found = judge(rows, "full", "demo/average", Decide(primary="demo/average"), dict.fromkeys(rows, ""), verdicts=True)
    assert found["more"].verdict == "better"


def test_survivors_are_neither_averaged_nor_judged(tmp_path: Path) -> None:
    folder = study(tmp_path / "lost", {"full": 5.0, "good": 4.9})
    what = experiment(PLD)
    trial = folder.ask(what, "frail", seeds=(0, 1, 2))
    for index, end in enumerate(("finished", "diverged", "finished")):
        folder.run(trial, what, 4.0, index, end=end, demo__average=0.9)
    frail = of(comparison(view(folder.complete())), "frail")
    assert (frail.no_verdict, frail.differences) == ("2 of 3 finished", {})
    assert not {"valid/loss", "test/loss", "demo/average"} & set(frail.metrics)
    assert "progress/tflop" in frail.metrics


def test_sampled_rows_are_exploratory_and_shrunken(tmp_path: Path) -> None:
    folder = study(tmp_path / "search", {"full": 5.0, "good": 4.99}, search={"trials": 3})
    for number, loss in enumerate((4.999, 5.0, 5.001)):
        what = experiment(schedule("falling", 0.3 + number / 10))
        trial = folder.ask(what, None)
        folder.run(trial, what, loss)
        folder.tell(trial, loss)
    table = comparison(view(folder.complete()))
    best = of(table, "trial 2")
    assert (best.no_verdict, best.differences["valid/loss"].verdict) == ("exploratory", None)
    values = {"full": {i: 5.0 + s + NOISE[0][i] for i, s in enumerate(SEEDS)}}
    values["good"] = {i: 4.99 + s + NOISE[1][i] for i, s in enumerate(SEEDS)}
    residual = compare(values, "full").residual
    assert residual is not None
    assert best.shrunken == shrunken((4.999, 5.0, 5.001), residual.value**0.5)[0]
    assert best.shrunken is not None
    assert 4.999 < best.shrunken.expected <= 5.0


def test_a_tuned_row_that_its_own_runs_chose_has_no_verdict(demo: Path) -> None:
    tuned = of(comparison(view(demo)), "tuned")
    assert (tuned.no_verdict, tuned.differences["valid/loss"].verdict) == ("exploratory", None)


def test_the_contrast_is_judged_on_fresh_seeds_and_then_by_its_next_metric(tmp_path: Path) -> None:
    folder = study(tmp_path / "fresh", {"full": 5.0}, search={"trials": 2}, confirm={"top": 2, "seeds": 3})
    trials = {0: 5.0}
    for loss in (4.8, 4.81):
        what = experiment(schedule("falling", loss / 10))
        trial = folder.ask(what, None)
        folder.run(trial, what, loss)
        folder.tell(trial, loss)
        trials[trial] = loss
    folder.study.write(ContrastFixed(winner=1, reference=0, metrics=["test/loss", "demo/average"]))
    for trial, loss in trials.items():
        what = experiment(FULL if trial == 0 else schedule("falling", loss / 10))
        folder.study.write(TrialConfirming(trial=trial, seeds=[1000, 1001, 1002]))
        for index, (seed, own) in enumerate(zip(SEEDS, NOISE[trial], strict=True)):
            # the other candidate is ahead on fresh seeds: it is not chosen again
            fresh = loss - 0.05 * (trial == 2) + seed + own
            folder.run(trial, what, fresh, 1000 + index, demo__average=0.6 + 0.1 * (trial > 0) + own)
    table = comparison(view(folder.complete()))
    first, second = of(table, "trial 1"), of(table, "trial 2")
    assert first.differences["test/loss"].verdict == "better"
    assert first.differences["demo/average"].verdict == "better"
    assert first.differences["valid/loss"].verdict is None
    assert second.no_verdict == "exploratory"
    assert all(found.verdict is None for found in second.differences.values())


def test_from_six_seeds_on_the_sign_flips_stand_beside(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    values = {row: dict(enumerate(5 + rng.normal(0, 0.01, 6))) for row in ("full", "pld")}
    found = judge(values, "full", "valid/loss", Decide(), dict.fromkeys(values, ""), verdicts=True)["pld"]
    expected = sign_flip_p(values, ["pld"], "full")
    assert expected is not None
    assert found.flip_p == expected["pld"]
    five = {row: {seed: runs[seed] for seed in range(5)} for row, runs in values.items()}
    assert judge(five, "full", "valid/loss", Decide(), dict.fromkeys(values, ""), verdicts=True)["pld"].flip_p is None


def test_rows_without_a_common_seed_have_no_difference() -> None:
    values = {"full": {0: 5.0}, "pld": {1: 5.0}}
    assert judge(values, "full", "valid/loss", Decide(), dict.fromkeys(values, ""), verdicts=True) == {}
    assert alone(values, "pld", "full", Decide()) is None


@pytest.mark.parametrize("other", [False, True])
def test_studies_without_a_difference_are_told_of_one_in_five_percent_at_most(other: bool) -> None:
    """Four rows, three seeds, 400 studies, correlation 0.7; `other`: one row of another architecture, four times the
    spread. Three standard errors of the count are allowed on top.
    """
    rng, studies = np.random.default_rng(7), 400
    names = ["full", "a", "b", "c"]
    architectures = {name: "other" if other and name == "c" else "same" for name in names}
    decide, errors, seen = Decide(max_seeds=3), 0, 0
    for _ in range(studies):
        shared, own = rng.normal(0, 1.5, 3), rng.normal(0, 1, (4, 3))
        own[3] *= 4 if other else 1
        values = {name: dict(enumerate(5 + 0.01 * (shared + own[row]))) for row, name in enumerate(names)}
        found = judge(values, "full", "valid/loss", decide, architectures, verdicts=True)
        seen += len(found)
        errors += any(row.verdict in ("better", "worse") for row in found.values())
    assert seen == 3 * studies
    assert errors / studies <= 0.05 + 3 * (0.05 * 0.95 / studies) ** 0.5
