"""One Optuna study: asked, told, and brought up to date with the ledger.

A question is one trial number. Each question has a fresh sampler, seeded by (search.seed, study name, trial number), so
a coordinator that was killed and started again asks the same questions. The sampler is asked on the coordinator's own
copy of the study in memory, because a sampler reads every trial many times; the storage is only written to
(storage_sync.py). The ledger is the truth: trials that the storage lost are put back, and their results are told again.
A trial that was asked just before a coordinator's death and is not in the ledger becomes the next question (brute force
would otherwise never visit its point).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.trial import FrozenTrial, TrialState

from pld_search.errors import StudyError
from pld_search.records.study_events import TrialTold
from pld_search.records.trial_record import Question
from pld_search.schedules.hash_words import seed_word
from pld_search.search.observed_runs import Observed
from pld_search.search.optuna.distributions import distribution_of
from pld_search.search.optuna.make_sampler import SamplerRequest, make_sampler
from pld_search.search.optuna.pending_aware_sampler import EndedTrial, Informed
from pld_search.search.optuna.storage import StorageAway
from pld_search.search.optuna.storage_sync import Stored
from pld_search.search.sampling import Asked
from pld_search.spaces import domains

GIVEN_UP = "given up"
"""The constraint that a trial violates when its run failed for good: told FAIL, a sampler would ask there again."""
MakeSampler = Callable[[SamplerRequest], optuna.samplers.BaseSampler]


class OptunaStudy:
    """One named Optuna study with one coordinator that asks and tells.

    Results that were not told because the storage is away wait in memory (`_behind`); the ledger has them anyway. An
    orphan is a trial that the copy or the storage holds and the ledger does not know: the next question takes its
    number.
    """

    def __init__(
        self,
        study: optuna.Study,
        sampler: str,
        seed: int,
        pruner: optuna.pruners.BasePruner | None = None,
        make: MakeSampler = make_sampler,
        starts: int | None = None,
        shares: Mapping[int, float] | None = None,
        given: Sequence[Mapping[str, Any]] = (),
        borrowed: Observed | None = None,
    ) -> None:
        self.name, self.sampler, self._seed, self._make = study.study_name, sampler, seed, make
        self._starts, self._start_seed = starts, seed_word(seed, f"starts:{self.name}", 0) % 2**32
        self._shares, self._given, self._borrowed = shares or {}, given, borrowed
        self._stored = Stored(study)
        # no question reaches this pruner; samplers learn within one bracket of Hyperband
        pruner = pruner or optuna.pruners.NopPruner()
        self._copy = optuna.create_study(
            study_name=self.name, directions=study.directions, pruner=pruner, sampler=_no_sampler()
        )
        self._ended: dict[int, EndedTrial] = {}
        self._known: set[int] = set()
        self._orphans: set[int] = set()
        self._behind: set[int] = set()
        self._drawn: tuple[Asked, Any] | None = None

    @property
    def free_number(self) -> int:
        """A number that no question has, in the ledger or in the storage."""
        return max(self._known | self._orphans, default=-1) + 1

    def ask(
        self, tree: Any, waiting: Iterable[Question] = (), observed: Sequence[FrozenTrial] = ()
    ) -> tuple[Asked, Any]:
        """Returns the next question and the tree with its answers; parameters of branches that were not chosen are
        never asked.

        waiting: open questions with values at rungs; the sampler learns from them as if they ended there. observed:
        results from outside this study at points of its space.

        Raises StorageAway; asking again then gives the same question.
        """
        self.settle()
        if self._drawn is None:
            self._drawn = self._draw(tree, waiting, observed)
        self._behind.add(self._drawn[0].number)
        self.settle()
        (asked, drawn), self._drawn = self._drawn, None
        self._orphans.remove(asked.number)
        self._known.add(asked.number)
        return asked, drawn

    def _draw(self, tree: Any, waiting: Iterable[Question], observed: Sequence[FrozenTrial]) -> tuple[Asked, Any]:
        """Asks the next question on the copy: the oldest orphan with its known parameters, else a new one."""
        orphan = min(self._orphans, default=None)
        number = self.free_number if orphan is None else orphan
        self._orphans.add(number)
        seed = seed_word(self._seed, f"sampler:{self.name}", number) % 2**32
        sampler = self._make(
            SamplerRequest(
                self.sampler, seed, tree, self._starts, self._start_seed, self._shares, self._given, self._borrowed
            )
        )
        intermediate = {each.number: each.intermediate for each in waiting}
        self._copy.sampler = Informed(sampler, intermediate, observed, self._ended)
        trial = self._copy.ask() if orphan is None else self._trial(number)
        asked = Asked(number, {}, {})

        def suggest(name: str, domain: domains.Choice | domains.Number) -> Any:
            distribution = distribution_of(domain)
            asked.distributions[name] = json.loads(distribution_to_json(distribution))
            asked.params[name] = _suggest(trial, name, distribution)
            return asked.params[name]

        drawn = domains.sample(tree, suggest)
        # after a tell, brute force would stop an `optimize` loop, and there is none
        self._copy.sampler = _no_sampler()
        return asked, drawn

    def _frozen(self, number: int) -> FrozenTrial:
        return self._copy.get_trials(deepcopy=False)[number]

    def _trial(self, number: int) -> optuna.Trial:
        return optuna.Trial(self._copy, self._frozen(number)._trial_id)

    def tell(self, question: Question) -> None:
        """Tells the end of a question, once. A question that failed for good is PRUNED with a violated constraint, like
        a rejected one (FAIL in a study of version 0.1).
        """
        assert question.told is not None
        if not self._frozen(question.number).state.is_finished():
            self._learn(question, question.told)
            self._behind.add(question.number)
        with suppress(StorageAway):
            self.settle()

    def _learn(self, question: Question, told: TrialTold) -> None:
        trial = self._trial(question.number)
        for key, value in told.constraints.items():
            trial.set_constraint(key, value)
        for step, value in question.intermediate.items():
            trial.report(value, step)
        state = TrialState[told.state]
        if state == TrialState.FAIL and self._starts is not None:
            state = TrialState.PRUNED
            trial.set_constraint(GIVEN_UP, 1.0)
        self._copy.tell(trial, list(told.values or ()) if told.complete else None, state)

    def again(self, question: Question) -> None:
        """Asks a question again, under the free number that the ledger gave it."""
        if question.number not in self._known:
            self._known.add(question.number)
            self._copy.add_trial(rebuilt(question))
            self._behind.add(question.number)
        with suppress(StorageAway):
            self.settle()

    def settle(self) -> None:
        """Brings the storage up to date with the copy. Raises StorageAway."""
        for number in sorted(self._behind):
            self._stored.bring(self._frozen(number))
            self._behind.remove(number)

    def reconcile(self, known: Iterable[Question]) -> None:
        """Brings copy and storage up to date with the ledger. Raises StudyError when they belong to different
        studies.
        """
        questions = {question.number: question for question in known}
        stored = {trial.number: trial for trial in self._stored.read()}
        for trial in stored.values():
            self._check(trial, questions.get(trial.number))
        for number in range(
            len(self._copy.get_trials(deepcopy=False)), max(questions.keys() | stored.keys(), default=-1) + 1
        ):
            self._copy.add_trial(rebuilt(questions[number]) if number in questions else _unknown(stored.get(number)))
        numbers = range(len(self._copy.get_trials(deepcopy=False)))
        self._known, self._orphans = set(questions), set(numbers) - set(questions)
        self._behind = set(numbers) - set(stored)
        for question in questions.values():
            if question.told is not None:
                self.tell(question)

    def _check(self, trial: FrozenTrial, question: Question | None) -> None:
        if question is None and trial.state != TrialState.RUNNING:
            raise StudyError(
                f"the Optuna study '{self.name}' holds trial {trial.number}, which study.jsonl does not know"
            )
        if question is not None and question.params != trial.params:
            raise StudyError(
                f"the Optuna study '{self.name}' disagrees with study.jsonl about its trial {trial.number}"
            )


def _no_sampler() -> optuna.samplers.BaseSampler:
    """Returns a sampler for a study that is asked no question."""
    return optuna.samplers.RandomSampler(seed=0)


def _suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, optuna.distributions.IntDistribution):
        return trial.suggest_int(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    assert isinstance(distribution, optuna.distributions.FloatDistribution)
    return trial.suggest_float(name, distribution.low, distribution.high, step=distribution.step, log=distribution.log)


def _unknown(trial: FrozenTrial | None) -> FrozenTrial:
    """Returns a trial that the ledger does not know, with its stored parameters; a blank trial when none are stored."""
    if trial is None:
        return optuna.trial.create_trial(state=TrialState.RUNNING)
    return optuna.trial.create_trial(state=TrialState.RUNNING, params=trial.params, distributions=trial.distributions)


def rebuilt(question: Question) -> FrozenTrial:
    """Turns a question into an open trial with its parameters."""
    distributions = {name: json_to_distribution(json.dumps(each)) for name, each in question.distributions.items()}
    return optuna.trial.create_trial(
        state=TrialState.RUNNING, params=dict(question.params), distributions=distributions
    )
