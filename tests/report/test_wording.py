from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.records.study_record import view
from pld_search.report import wording
from pld_search.report.comparison import SystemRow, comparison
from pld_search.report.html_markup import Markup, join, tag
from pld_search.report.judged import Judged
from pld_search.report.study_summary import summary
from pld_search.statistics.verdict import Verdict


@pytest.mark.parametrize(
    ("value", "text"), [(0.0412, "+0.041"), (-0.0412, "−0.041"), (0.0001, "0.000"), (-0.0001, "0.000")]
)
def test_signed_numbers(value: float, text: str) -> None:
    assert wording.signed(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "–"), (43.2, "43 s"), (425, "7 min 05 s"), (12_000, "3 h 20 min")]
)
def test_durations(seconds: float | None, text: str) -> None:
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (1234.5, "1,234"), (35.26, "35.3"), (3.526, "3.53")])
def test_compact_numbers(value: float | None, text: str) -> None:
    assert wording.compact(value) == text


def row(found: Judged | None, no_verdict: str = "") -> SystemRow:
    return SystemRow(
        label="pld",
        kind="system",
        trial=1,
        system="pld",
        schedule="pld",
        model="",
        layers=6,
        steps=400,
        tuning_trials=0,
        states={},
        params={},
        differences={} if found is None else {"valid/loss": found},
        no_verdict=no_verdict,
    )


@pytest.mark.parametrize(
    ("found", "no_verdict", "lines"),
    [
        (Judged(-0.2, 3, (-0.3, -0.1), 0.01, Verdict.BETTER, "better"), "", ["± 0.100", "better"]),
        (
            Judged(0.0, 3, (-0.01, 0.01), 0.9, Verdict.EQUAL, "equal within 0.02 nats"),
            "",
            ["± 0.010", "equal within", "0.02 nats"],
        ),
        (
            Judged(0.1, 3, (-0.1, 0.3), 0.3, Verdict.UNDECIDED, "undecided: 3 more seeds would decide", 3),
            "",
            ["± 0.200", "undecided:", "3 more seeds"],
        ),
        (Judged(0.1, 1), "exploratory", ["exploratory"]),
        (None, "full: 2 of 3 finished", ["full:", "2 of 3 finished"]),
        (
            Judged(-0.2, 6, (-0.3, -0.1), 0.01, Verdict.BETTER, "better", None, 0.03125),
            "",
            ["± 0.100", "better", "flips p 0.031"],
        ),
    ],
)
def test_verdicts_fit_a_narrow_column(found: Judged | None, no_verdict: str, lines: list[str]) -> None:
    assert wording.verdict_lines(row(found, no_verdict), "valid/loss") == lines
    assert max(map(len, lines)) <= 16


def test_the_rule_says_what_is_judged(demo: Path) -> None:
    seen = view(demo)
    text = wording.rule(summary(seen), comparison(seen))
    assert "Verdicts are on valid/loss" in text
    assert "no margin says what is equal" in text
    assert "No spread is known yet" in text
    assert "Exploratory rows" in text


def test_states_read_well() -> None:
    assert wording.states_text({"finished": 1}) == "finished"
    assert wording.states_text({"finished": 2}) == "2 finished"
    assert wording.states_text({"finished": 1, "diverged": 1}) == "1 diverged, 1 finished"


def test_markup_escapes_all_but_markup() -> None:
    assert tag("p", "<b>", Markup("<i></i>"), class_='"x"') == '<p class="&quot;x&quot;">&lt;b&gt;<i></i></p>'
    assert join("a & b", None) == "a &amp; b"
