"""`decide`: what a study states, what is refused, and what no digest of a run holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.errors import ConfigError
from pld_search.spaces.decide import decision, margin_value
from pld_search.spaces.load_study import Study, load_study
from pld_search.spaces.study_identity import differences
from tests.spaces.broken import GOOD


def study(tmp_path: Path, decide: str, more: str = "") -> Study:
    file = tmp_path / "study.yaml"
    file.write_text(f"{GOOD.rstrip()}\n{more}decide: {decide}\n", encoding="utf-8")
    return load_study(file)


def refusal(tmp_path: Path, decide: str) -> str:
    with pytest.raises(ConfigError) as caught:
        study(tmp_path, decide)
    (problem,) = caught.value.problems
    return str(problem).replace(f"{tmp_path}/", "")


def test_defaults_follow_what_the_study_confirms(tmp_path: Path) -> None:
    plain, confirmed = study(tmp_path, "{}"), study(tmp_path, "{}", "confirm: {top: 1, seeds: 3}\n")
    assert decision(plain.definition()).primary == "valid/loss"
    assert decision(confirmed.definition()).primary == "test/loss"
    assert decision({}).alpha == 0.05
    assert decision({}).margin_value is None


def test_everything_stated_comes_back_from_the_records(tmp_path: Path) -> None:
    found = study(tmp_path, "{margin: 1e-2 nats, alpha: 0.1, power: 0.9, spread: 0.005, max_seeds: 6}")
    assert Study.from_definition(found.definition()) == found
    known = decision(found.definition())
    assert (known.margin, known.margin_value, known.less_is_better) == ("0.01 nats", 0.01, True)
    assert (known.alpha, known.power, known.spread, known.max_seeds) == (0.1, 0.9, 0.005, 6)


def test_a_margin_of_a_score_is_a_share() -> None:
    assert margin_value("0.5 %") == 0.005


def test_a_margin_in_compute_is_a_share_of_the_flops(tmp_path: Path) -> None:
    for written in ("5 % of FLOPs", "5% of FLOPs", "{flops: 5 %}"):
        known = decision(study(tmp_path, f"{{margin: {written}}}").definition())
        assert (known.margin, known.margin_share, known.margin_value) == ("5 % of FLOPs", 0.05, None)


def test_a_changed_decision_continues_the_study_and_no_experiment_holds_it(tmp_path: Path) -> None:
    one, other = study(tmp_path, "{margin: 0.01 nats}"), study(tmp_path, "{margin: 0.02 nats}")
    assert differences(one, other) == []
    assert "decide" not in one.experiment


@pytest.mark.parametrize(
    ("decide", "words"),
    [
        ("{margin: {tokens: 5 %}}", "a margin is NUMBER nats or NUMBER % of FLOPs for a loss"),
        (
            "{margin: 100 % of FLOPs}",
            "a margin of FLOPs is below 100 %; given: 100 % of FLOPs; did you mean 5 % of FLOPs?",
        ),
        ("{margin: 0.01}", "did you mean 0.01 nats?"),
        ("{margin: -1 nats}", "above 0"),
        ("{margin: 5 %}", "the margin of a loss is stated in nats or % of FLOPs, not as 5 %"),
        ("{primary: saved/flops}", "decide.primary: a study decides by a loss or a downstream score"),
        ("{primary: glue/average}", "decide.primary: the study evaluates no task of this suite"),
        ("{spread: 0}", "a spread is a number above 0, or the name of an earlier study"),
        ("{alpha: 0.7}", "decide.alpha"),
        ("{seeds: 3}", "decide.seeds: unknown key; allowed: primary | margin | alpha | power | spread | max_seeds"),
    ],
)
def test_what_cannot_decide_is_refused_at_its_place(tmp_path: Path, decide: str, words: str) -> None:
    line = refusal(tmp_path, decide)
    assert line.startswith("study.yaml:")
    assert words in line


def test_without_a_reference_there_is_nothing_to_decide(tmp_path: Path) -> None:
    file = tmp_path / "one.yaml"
    text = GOOD[: GOOD.index("systems:")] + "search: {trials: 2}\nbudget: {steps: 8}\ndecide: {}\n"
    file.write_text(text.replace("budget: {steps: 100, equal: flops}\n", ""), encoding="utf-8")
    with pytest.raises(ConfigError, match="decides about differences to what"):
        load_study(file)
