"""Decides which configuration comes next: the systems in order, then tuning trials in turn, then sampled trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from pld_search.costs.rung_steps import rung_steps
from pld_search.errors import ConfigError
from pld_search.records.study_events import TrialAsked, TrialKind, TrialRejected
from pld_search.records.trial_record import TUNING, TrialRecord
from pld_search.search.configurations import Build, Built
from pld_search.search.ledger import Ledger
from pld_search.search.sampling import Asked, Samplers
from pld_search.search.tell_results import Teller
from pld_search.spaces.asking_order import Tuned, next_place
from pld_search.spaces.constraints import forecasted, unforecast
from pld_search.spaces.domains import close, size
from pld_search.spaces.resolve import UNMEASURED
from pld_search.spaces.study import Study, System
from pld_search.spaces.tune_grid import RATE_NAME
from pld_search.specs.experiment import Experiment
from pld_search.specs.metrics import is_downstream

REJECTED_IN_A_ROW = 100
UNBUILDABLE = "cannot be built"
Answer = Literal["asked", "later", "nothing"]
"""asked: one more configuration; later: none now, because the storage is away; nothing: no more configurations."""


def never_enough() -> bool:
    """Returns False: the study has no `until` rule."""
    return False


class Asker:
    """Writes `asked` records. A configuration that cannot be built or violates a forecast constraint is rejected and
    told at once.
    """

    def __init__(
        self,
        ledger: Ledger,
        study: Study,
        build: Build,
        samplers: Samplers,
        teller: Teller,
        enough: Callable[[], bool] = never_enough,
    ) -> None:
        self._ledger, self._study, self._build, self._samplers, self._teller = ledger, study, build, samplers, teller
        self._enough = enough
        self._limits = tuple(limit for limit in study.constraints if limit.before_training)
        self._shares = study.search.rungs if study.search is not None else ()

    def next(self) -> Answer:
        """Asks for one more configuration. A rejected one counts as asked: the caller asks again."""
        asked = self._ledger.index.asked
        place = next_place(self._study, asked, self.exhausted, self._tuned)
        if place is None:
            return "nothing"
        kind, name = place
        system = self._study.system(name) if name is not None else None
        if system is not None and system.rates is not None:
            self._record_rate(system, asked["tuning", name] if kind == "tuning" else None)
        elif kind == "system":
            self._record("system", name, {}, self._build(self._study.tree_of(name)), self._seeds(name))
        else:
            return self._ask(name)
        return "asked"

    def _record_rate(self, system: System, number: int | None) -> None:
        """Records a run of a system's grid of learning rates, or (None) the system's row at the chosen rate."""
        tuned, rates = self._ledger.study.tuned.get(system.name), system.rates or ()
        rate = rates[number] if number is not None else tuned.rate if tuned is not None else None
        params = {RATE_NAME: rate}
        built = self._build(close(system.tree, params))
        if number is None:
            self._record("system", system.name, params, built, self._seeds(system.name))
        else:
            shown = is_downstream(self._study.objectives.first.metric)
            self._record("tuning", system.name, params, built if shown else _briefly(built), [TUNING])

    def _tuned(self, name: str) -> Tuned:
        tuned = self._ledger.study.tuned.get(name)
        return "open" if tuned is None else "failed" if tuned.rate is None else "tuned"

    def _seeds(self, system: str | None) -> list[int]:
        return list(range(self._study.seeds_of(system)))

    def _ask(self, system: str | None) -> Answer:
        found = self._samplers.ask(system, self._study.tree_of(system))
        if found is None:
            return "later"
        asked, tree = found
        try:
            built: Built | ConfigError = self._build(tree)
        except ConfigError as error:
            built = error
        kind: TrialKind = "tuning" if system else "sampled"
        self.reject(self._record(kind, system, asked.params, built, self._seeds(system), asked))
        return "asked"

    def exhausted(self, system: str | None) -> bool:
        """Whether a space gives no more configurations: the `until` rule is met, too many were rejected in a row, or
        brute force has visited every point.
        """
        if system is None and self._enough():
            return True
        if rejected_in_a_row(trials := self._of(system)):
            return True
        if self._samplers.kind(system) != "bruteforce":
            return False
        points = size(self._study.tree_of(system))
        return points is not None and len(trials) >= points

    def _of(self, system: str | None) -> Sequence[TrialRecord]:
        """Returns the trials that were sampled for a tuned system, or (None) for the search."""
        return sampled_for(self._ledger, system)

    def _record(
        self,
        kind: TrialKind,
        system: str | None,
        params: Mapping[str, Any],
        built: Built | ConfigError,
        seeds: Sequence[int],
        asked: Asked | None = None,
    ) -> TrialRecord:
        number = len(self._ledger.study.trials)
        question = TrialAsked(
            trial=number,
            kind=kind,
            system=system,
            sampler_study=None if asked is None else self._samplers.name(system),
            number=None if asked is None else asked.number,
            params=dict(params),
            distributions={} if asked is None else asked.distributions,
            seeds=list(seeds),
        )
        self._ledger.write(self._built(question, built))
        return self._ledger.study.trials[number]

    def _built(self, question: TrialAsked, built: Built | ConfigError) -> TrialAsked:
        """Returns the question with the built experiment, or with the problem and the constraints it violates."""
        if isinstance(built, ConfigError):
            return _unbuildable(question, str(built))
        experiment, sampled = built.experiment, question.kind == "sampled"
        limits = self._limits if sampled else ()
        unknown = unforecast(limits, built.forecast)
        if unknown:
            return _unbuildable(question, f"{', '.join(unknown)}: {UNMEASURED}")
        decided = forecasted(limits, built.forecast)
        violated = [str(each) for each in decided if each.violated]
        try:
            rungs = rung_steps(experiment, self._shares) if sampled else []
        except ConfigError as error:
            return _unbuildable(question, str(error))
        return replace(
            question,
            digest=experiment.digest,
            steps=experiment.steps,
            schedule=experiment.schedule.name,
            forecast=dict(built.forecast),
            experiment=experiment.model_dump(mode="json"),
            problem=f"violates {', '.join(violated)}" if violated else None,
            constraints={each.limit.key: each.violation for each in decided},
            rungs=rungs,
        )

    def reject(self, trial: TrialRecord) -> None:
        """Records the rejection of a trial that has a problem and tells it (PRUNED, with its constraints); ignores
        others.
        """
        problem = trial.asked.problem
        if problem is None or trial.told is not None:
            return
        if trial.rejected is None:
            self._ledger.write(TrialRejected(trial=trial.number, reason=problem, constraint=trial.asked.constraints))
        self._teller.told(trial, "PRUNED", None, trial.asked.constraints, problem)


def _briefly(built: Built) -> Built:
    """Reduces a run of a grid to its validation loss: no downstream tasks, no test split."""
    experiment: Experiment = built.experiment
    evaluation = experiment.evaluation.model_copy(update={"tasks": ()})
    return replace(built, experiment=experiment.model_copy(update={"evaluation": evaluation, "test": "unseen"}))


def _unbuildable(question: TrialAsked, problem: str) -> TrialAsked:
    return replace(question, problem=problem, constraints={UNBUILDABLE: 1.0})


def sampled_for(ledger: Ledger, system: str | None) -> Sequence[TrialRecord]:
    """Returns the trials that a sampler gave for a tuned system, or (None) for the search."""
    return ledger.index.of("tuning" if system else "sampled", system)


def rejected_in_a_row(trials: Sequence[TrialRecord]) -> bool:
    """Whether so many of the last trials were rejected that the search should give up."""
    return len(trials) >= REJECTED_IN_A_ROW and all(trial.rejected for trial in trials[-REJECTED_IN_A_ROW:])
