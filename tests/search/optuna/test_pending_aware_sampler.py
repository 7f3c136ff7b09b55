"""What a sampler is shown, against a study into which every trial was put as it should look."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from pld_search.search.optuna.pending_aware_sampler import EndedTrial, Informed

DOMAINS = {"x": FloatDistribution(0.0, 1.0), "y": FloatDistribution(0.0, 1.0)}
WAITING = {12: {1: 0.3, 3: 0.2}, 14: {1: 0.9}, 15: {}}
MAKE: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
    "tpe": lambda: optuna.samplers.TPESampler(seed=1, n_startup_trials=4),
    "multivariate": lambda: optuna.samplers.TPESampler(seed=1, n_startup_trials=4, multivariate=True, group=True),
    "liar": lambda: optuna.samplers.TPESampler(seed=1, n_startup_trials=4, multivariate=True, constant_liar=True),
}


def trial_of(number: int, state: TrialState, values: dict[int, float] | None = None) -> FrozenTrial:
    x = (number * 0.37) % 1
    return create_trial(
        state=state,
        value=abs(x - 0.4) if state == TrialState.COMPLETE else None,
        params={"x": x, "y": 1 - x},
        distributions=dict(DOMAINS),
        intermediate_values=values or {},
    )


def study_of(trials: list[FrozenTrial]) -> optuna.Study:
    study = optuna.create_study(study_name="one", direction="minimize")
    study.add_trials(trials)
    return study


def answer(study: optuna.Study, sampler: optuna.samplers.BaseSampler) -> dict[str, Any]:
    study.sampler = sampler
    trial = study.ask()
    return {name: trial.suggest_float(name, 0.0, 1.0, step=0.25 if name == "z" else None) for name in ("x", "y", "z")}


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("kind", ["tpe", "multivariate", "liar"])
def test_a_sampler_answers_as_on_a_study_of_the_shown_trials(kind: str) -> None:
    ended = [trial_of(number, TrialState.COMPLETE) for number in range(12)]
    running = [trial_of(number, TrialState.RUNNING) for number in range(12, 16)]
    observed = [trial_of(40, TrialState.COMPLETE), trial_of(41, TrialState.COMPLETE)]
    shown = [
        trial_of(number, TrialState.PRUNED, WAITING[number]) if WAITING.get(number) else running[number - 12]
        for number in range(12, 16)
    ]
    # on the other study the question itself comes behind what was observed elsewhere: it is shown before it
    plain = study_of([*ended, *shown, *observed])
    informed = study_of([*ended, *running])
    found = answer(informed, Informed(MAKE[kind](), WAITING, observed))
    assert found == answer(plain, MAKE[kind]())
    assert [trial.state for trial in informed.get_trials()[12:16]] == [TrialState.RUNNING] * 4
    assert len(informed.get_trials()) == 17


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("kind", ["multivariate", "nsga2"])
def test_ended_trials_that_are_kept_between_questions_change_no_answer(kind: str) -> None:
    """Four conditional spaces and a violated constraint, over thirty questions."""
    spaces = [("x",), ("x", "y"), ("x", "z"), ("y", "z")]
    observed = [trial_of(40, TrialState.COMPLETE)]
    ended: dict[int, EndedTrial] = {}
    kept, forgotten = study_of([]), study_of([])
    make = MAKE.get(kind, lambda: optuna.samplers.NSGAIISampler(seed=1, population_size=4))
    for number in range(30):
        answers = []
        for study, memory in ((kept, ended), (forgotten, None)):
            study.sampler = Informed(make(), {}, observed, memory)
            trial = study.ask()
            answers.append({name: trial.suggest_float(name, 0.0, 1.0) for name in spaces[number % 4]})
            trial.set_constraint("limit", float(number % 5 == 4))
            worth = sum(answers[-1].values())
            study.tell(trial, None if number % 7 == 6 else worth, TrialState.PRUNED if number % 7 == 6 else None)
        assert answers[0] == answers[1]
    plain = study_of([*forgotten.get_trials(), *observed])
    plain.sampler, kept.sampler = make(), Informed(make(), {}, observed, ended)
    first, second = (study.ask().suggest_float("x", 0.0, 1.0) for study in (plain, kept))
    assert first == second
    assert sorted(ended) == list(range(30))


def test_where_nobody_waits_the_study_itself_is_seen() -> None:
    study = study_of([trial_of(number, TrialState.COMPLETE) for number in range(6)])
    assert Informed(MAKE["tpe"](), {3: {}})._seen(study) is study
