from __future__ import annotations

import pytest

from pld_search.report import wording
from pld_search.report.html_markup import Markup, join, tag
from pld_search.statistics.spread import Difference, Pooled


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


def test_parameters_by_the_least_that_tells_them_apart() -> None:
    params = {
        "schedule": "falling",
        "schedule.falling.temporal.end": 0.81234,
        "schedule.falling.temporal.rate": "10 / run",
    }
    assert wording.params_text(params) == "schedule = falling, end = 0.8123, rate = 10 / run"
    assert wording.params_text({"a.lr": 1.0, "b.lr": 2.0}) == "a.lr = 1, b.lr = 2"


def test_the_rule_names_its_numbers() -> None:
    assert "s = 0.0141" in wording.rule(Pooled(0.01414, 1))
    assert "t = 12.71" in wording.rule(Pooled(0.01414, 1))
    assert "no difference is resolved" in wording.rule(None)
    assert "`seeds: 2` or more" in wording.rule(None)
    assert "`seeds: 2`" not in wording.rule(None, 2)  # it has two, and was interrupted


def test_a_verdict_says_what_decides() -> None:
    assert wording.verdict(None) == ""
    assert [wording.verdict(Difference(0.2, width)) for width in (0.1, 0.3, None)] == [
        "resolved",
        "not resolved",
        "not resolved",
    ]
    assert wording.verdict(Difference(0.2, 0.1, 0.0853)) == "resolved by spread, aside: paired p = 0.085"
    assert max(map(len, wording.verdict_lines(Difference(0.2, 0.3, 0.0853)))) <= 16  # the width of a narrow column


def test_states_read_well() -> None:
    assert wording.states_text({"finished": 1}) == "finished"
    assert wording.states_text({"finished": 2}) == "2 finished"
    assert wording.states_text({"finished": 1, "diverged": 1}) == "1 diverged, 1 finished"


def test_markup_escapes_all_but_markup() -> None:
    assert tag("p", "<b>", Markup("<i></i>"), class_='"x"') == '<p class="&quot;x&quot;">&lt;b&gt;<i></i></p>'
    assert join("a & b", None) == "a &amp; b"
