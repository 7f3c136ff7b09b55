"""One Optuna study: asked, told, and brought back to what the ledger knows.

A question is one trial number. The sampler is made anew for each, seeded by (search.seed, study name, trial number), so that
a coordinator which was killed and started again asks what it would have asked. The ledger is the truth: trials the storage
lost are put back, told ones are told again, and a trial that was asked in the instant of death, before the ledger knew it,
is taken as the next question (brute force would otherwise never visit its point).
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.trial import FrozenTrial, TrialState

from pld_search.errors import StudyError
from pld_search.records.trial import Question
from pld_search.schedules.words import seed_word
from pld_search.search.informed import Informed
from pld_search.search.storage import StorageAway, reached

T = TypeVar("T")
Suggest = Callable[[str, BaseDistribution], Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked: the trial's number, its parameters and their distributions (JSON), as `asked` records hold them."""

    number: int
    params: dict[str, Any]
    distributions: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """How a question ended, as Optuna is told; `intermediate`: its values by rung."""

    state: str
    values: Sequence[float] | None
    constraints: Mapping[str, float]
    intermediate: Mapping[int, float]


def make_sampler(kind: str, seed: int) -> optuna.samplers.BaseSampler:
    """A fresh sampler: `tpe` (multivariate, by groups of parameters that occur together), `random` or `bruteforce`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if kind == "tpe":
            return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True)
        if kind == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.BruteForceSampler(seed=seed)


class OptunaStudy:
    """One named Optuna study with one asker and teller.

    What cannot be told because the storage is away waits in memory; the ledger has it anyway. An orphan is a trial that the
    storage holds, or may hold, and the ledger does not know: the next question takes its number.
    """

    def __init__(self, study: optuna.Study, sampler: str, seed: int, pruner: optuna.pruners.BasePruner | None = None) -> None:
        self._study = study
        study.pruner = pruner or optuna.pruners.NopPruner()  # asked nothing here; samplers learn within one bracket of Hyperband
        self.sampler, self._seed = sampler, seed
        self._known: set[int] = set()
        self._orphans: set[int] = set()
        self._unasked: list[Question] = []
        self._untold: dict[int, Told] = {}

    @property
    def name(self) -> str:
        return self._study.study_name

    @property
    def free_number(self) -> int:
        """A number that no question has, in the ledger or in the storage."""
        return max(self._known | self._orphans, default=-1) + 1

    def ask(self, draw: Callable[[Suggest], T], waiting: Iterable[Question] = ()) -> tuple[Asked, T]:
        """The next question; `draw` asks for its parameters by `suggest(name, distribution)` and gives what they make.

        waiting: open questions that have values of rungs: the sampler learns from them as if they ended there.

        Raises StorageAway; asking again then gives the same question, even where its trial was made already.
        """
        self.settle()
        orphan = min(self._orphans, default=None)
        number = self.free_number if orphan is None else orphan
        self._orphans.add(number)
        with reached():
            sampler = make_sampler(self.sampler, seed_word(self._seed, f"sampler:{self.name}", number) % 2**32)
            self._study.sampler = Informed(sampler, {each.number: each.intermediate for each in waiting})
            trial = self._new_trial(number) if orphan is None else self._open_trial(number)
            asked = Asked(number, {}, {})

            def suggest(name: str, distribution: BaseDistribution) -> Any:
                asked.distributions[name] = json.loads(distribution_to_json(distribution))
                asked.params[name] = _suggest(trial, name, distribution)
                return asked.params[name]

            drawn = draw(suggest)
        self._orphans.remove(number)
        self._known.add(number)
        return asked, drawn

    def _open_trial(self, number: int) -> optuna.Trial:
        """The trial of an orphan's number: as it stands in the storage where it got there, else a new one."""
        stored = self._study.get_trials(deepcopy=False)
        if number < len(stored) and stored[number].state == TrialState.RUNNING:
            return optuna.Trial(self._study, stored[number]._trial_id)
        return self._new_trial(number)

    def _new_trial(self, number: int) -> optuna.Trial:
        trial = self._study.ask()
        if trial.number != number:
            raise StudyError(f"the Optuna study '{self.name}' is used by someone else: trial {trial.number} where {number} was due")
        return trial

    def tell(self, question: Question) -> None:
        """Tell the end of a question (COMPLETE with values, PRUNED or FAIL without); nothing when it was told before."""
        assert question.told is not None
        told = question.told
        self._untold[question.number] = Told(told["state"], told["values"], told["constraints"], question.intermediate)
        with suppress(StorageAway):
            self.settle()

    def settle(self) -> None:
        """Tell what waits. Raises StorageAway."""
        while self._unasked:
            with reached():
                self._fill_up_to(self._unasked[0])
            self._unasked.pop(0)
        for number, told in list(self._untold.items()):
            with reached():
                self._tell(number, told)
            del self._untold[number]

    def _tell(self, number: int, told: Told) -> None:
        frozen = self._study.get_trials(deepcopy=False)[number]
        if frozen.state.is_finished():
            return
        self._study.sampler = optuna.samplers.RandomSampler(seed=0)  # brute force would end an `optimize` loop that there is not
        trial = optuna.Trial(self._study, frozen._trial_id)
        for key, value in told.constraints.items():
            if key not in frozen.constraints:
                trial.set_constraint(key, value)
        for step, value in told.intermediate.items():
            if step not in frozen.intermediate_values:
                trial.report(value, step)
        self._study.tell(trial, list(told.values or ()) if told.state == "COMPLETE" else None, TrialState[told.state])

    def again(self, question: Question) -> None:
        """Put a question once more, under the free number that the ledger gave it."""
        self._known.add(question.number)
        self._unasked.append(question)
        with suppress(StorageAway):
            self.settle()

    def _fill_up_to(self, question: Question) -> None:
        """Add a question where the storage lacks it, with a blank trial for every number before it that is missing."""
        for number in range(len(self._study.get_trials(deepcopy=False)), question.number + 1):
            self._study.add_trial(_rebuilt(question) if number == question.number else _blank())

    def reconcile(self, known: Iterable[Question]) -> None:
        """Bring the storage to what the ledger knows. Raises StudyError when the two are of different studies."""
        questions = {question.number: question for question in known}
        for trial in self._study.get_trials(deepcopy=False):
            question = questions.get(trial.number)
            if question is None and trial.state != TrialState.RUNNING:
                raise StudyError(f"the Optuna study '{self.name}' holds trial {trial.number}, which study.jsonl does not know")
            if question is not None and question.params != trial.params:
                raise StudyError(f"the Optuna study '{self.name}' disagrees with study.jsonl about its trial {trial.number}")
        for number in sorted(questions):
            self._fill_up_to(questions[number])
        self._known = set(questions)
        self._orphans = set(range(len(self._study.get_trials(deepcopy=False)))) - self._known
        for question in questions.values():
            if question.told is not None:
                self.tell(question)


def _suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, optuna.distributions.IntDistribution):
        return trial.suggest_int(name, distribution.low, distribution.high, step=distribution.step, log=distribution.log)
    assert isinstance(distribution, optuna.distributions.FloatDistribution)
    return trial.suggest_float(name, distribution.low, distribution.high, step=distribution.step, log=distribution.log)


def _blank() -> FrozenTrial:
    return optuna.trial.create_trial(state=TrialState.RUNNING)


def _rebuilt(question: Question) -> FrozenTrial:
    distributions = {name: json_to_distribution(json.dumps(each)) for name, each in question.distributions.items()}
    return optuna.trial.create_trial(state=TrialState.RUNNING, params=question.params, distributions=distributions)
