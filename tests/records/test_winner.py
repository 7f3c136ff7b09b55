"""The winner: confirmed, else recommended by the search, else the best declared row; chosen once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pld_search.records.study_events import (
    ContrastFixed,
    RunExited,
    RunReused,
    StudyEvent,
    SystemChosen,
    TrialAsked,
    TrialConfirming,
    TrialTold,
)
from pld_search.records.study_record import StudyRecord, fold
from pld_search.records.winner import Winner, row_of, winner


def asked(trial: int, value: float | None, system: str | None = None, violated: bool = False) -> list[StudyEvent]:
    told = {"divergence": 1.0} if violated else {}
    events: list[StudyEvent] = [
        TrialAsked(trial=trial, kind="system" if system else "sampled", system=system, seeds=[0])
    ]
    if value is not None:
        events.append(TrialTold(trial=trial, state="COMPLETE", values=[value], constraints=told))
    return events


def study(*parts: Sequence[StudyEvent]) -> StudyRecord:
    return fold([event for part in parts for event in part])


def test_nothing_wins_before_a_feasible_trial_has_a_value() -> None:
    assert winner(study(asked(0, None, "full"), asked(1, 5.0, violated=True))) is None


def test_the_best_declared_row_or_a_better_sampled_one_which_is_exploratory() -> None:
    declared = study(asked(0, 5.1, "full"), asked(1, 5.0, "pld"), asked(2, 5.0))
    assert winner(declared) == Winner(1, "declared")  # a tie goes to the declared row
    found = winner(study(asked(0, 5.1, "full"), asked(1, 5.0, "pld"), asked(2, 4.9)))
    assert found == Winner(2, "recommended")
    assert found.exploratory


def test_where_more_is_better_the_largest_wins() -> None:
    assert winner(study(asked(0, 0.6, "full"), asked(1, 0.7, "pld")), sign=-1.0) == Winner(1, "declared")


def test_a_tuned_system_has_no_row_until_one_is_chosen() -> None:
    tuning = (asked(0, 5.1, "pld"), asked(1, 4.9, "pld"))
    assert row_of(study(*tuning), "pld") is None
    assert winner(study(*tuning)) is None
    chosen = row_of(study(*tuning, [SystemChosen(system="pld", trial=1, spent=2)]), "pld")
    assert chosen is not None
    assert chosen.number == 1


@pytest.mark.parametrize(
    ("outcomes", "basis"),
    [(("finished", "finished"), "confirmed"), (("finished", "diverged"), "declared"), (("finished",), "declared")],
)
def test_fresh_seeds_confirm_what_was_fixed_and_choose_nothing(outcomes: Sequence[str], basis: str) -> None:
    fixed = [ContrastFixed(winner=1, reference=0), TrialConfirming(trial=1, seeds=[1000, 1001])]
    ends = [
        RunExited(trial=1, seed_index=index, launch=1, outcome=outcome) for index, outcome in enumerate(outcomes, 1000)
    ]
    again = [ContrastFixed(winner=0)]  # a second choice is not taken
    found = study(asked(0, 5.1, "full"), asked(1, 5.0, "pld"), fixed, ends, again, asked(2, 4.0))
    assert winner(found) == Winner(1, basis)  # type: ignore[arg-type]


def test_a_fresh_run_may_be_the_result_of_an_equal_one() -> None:
    events: list[StudyEvent] = [
        TrialConfirming(trial=0, seeds=[1000]),
        TrialConfirming(trial=1, seeds=[1000]),
        RunExited(trial=1, seed_index=1000, launch=1, outcome="finished"),
        RunReused(trial=0, seed_index=1000, source=(1, 1000)),
    ]
    assert winner(study(asked(0, 5.0, "full"), asked(1, 5.1, "pld"), events)) == Winner(0, "confirmed")
