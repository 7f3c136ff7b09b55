"""Values a configuration when every seed's run has ended, records the result, and tells it to Optuna. Chooses the trial
that becomes a system's row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pld_search.errors import StudyError
from pld_search.records.run_record import fold_run
from pld_search.records.study_events import SystemChosen, SystemTuned, TrialReseeded, TrialTold
from pld_search.records.study_record import run_folder
from pld_search.records.trial_record import ENDED, TrialRecord, violated
from pld_search.search.adaptive_seeds import Measured, near_front
from pld_search.search.configuration_value import DIVERGED, value_of, verdict
from pld_search.search.ledger import Ledger
from pld_search.search.run_outcomes import given_up
from pld_search.search.sampling import Samplers
from pld_search.spaces.study import Study
from pld_search.spaces.tune_grid import RATE_NAME
from pld_search.statistics.rate_optimum import best_rate


def _told_values(trial: TrialRecord) -> Measured | None:
    """Returns the values a trial was told with; None before its end and for a trial that violates a constraint."""
    told = trial.told
    if told is None or not trial.feasible:
        return None
    return Measured(tuple(told.values or ()), len(trial.seeds), tuple(told.sd) if told.sd else None)


class Teller:
    """Tells the results of ended trials. The study's constraints hold for sampled trials only; systems and their tuning
    have no constraint but divergence.

    A trial fails when one of its runs failed for good: more often than `retries`.
    """

    def __init__(self, ledger: Ledger, study: Study, samplers: Samplers, retries: int) -> None:
        self._ledger, self._samplers, self._retries = ledger, samplers, retries
        self._objectives = study.objectives
        self._limits = tuple(limit for limit in study.constraints if not limit.before_training)
        self._most = study.most_seeds
        self._tuned = {system.name: system.tune for system in study.systems if system.tune}
        self._grids = {system.name: system.rates for system in study.systems if system.rates is not None}

    def tell_ended(self) -> None:
        """Tells every trial whose runs have all ended or that failed for good."""
        for trial in self._ledger.index.unsettled:
            if trial.open and self._ended(trial) and not self._another_seed(trial):
                self._tell(trial)

    def _another_seed(self, trial: TrialRecord) -> bool:
        """Asks for one more run of a sampled trial that may be the best."""
        if (
            trial.kind != "sampled"
            or self._most is None
            or len(trial.seeds) >= self._most
            or given_up(trial, self._retries)
        ):
            return False
        measured = self._measured(trial)
        others = [
            other
            for each in self._ledger.index.of("sampled", None)
            if each is not trial and (other := _told_values(each))
        ]
        signed = [replace(each, values=self._objectives.signed(each.values)) for each in others]
        if measured is None or not near_front(measured, signed):
            return False
        self._ledger.write(TrialReseeded(trial=trial.number, seeds=[*trial.seeds, len(trial.seeds)]))
        return True

    def _measured(self, trial: TrialRecord) -> Measured | None:
        """Returns the values of the trial's seeds, less is better; None when it violates a constraint or lacks a
        metric.
        """
        try:
            _, values, constraints, _ = self._value(trial)
        except StudyError:
            return None
        if values is None or violated(constraints):
            return None
        return Measured.of([self._objectives.signed(values) for values in self._by_seed(trial)])

    def _by_seed(self, trial: TrialRecord) -> list[list[float]]:
        runs = [fold_run(run_folder(self._ledger.folder, trial, index)) for index in trial.seeds]
        return [[value_of(goal, run, trial.vocabulary) for goal in self._objectives] for run in runs]

    def _tell(self, trial: TrialRecord) -> None:
        try:
            state, values, constraints, reason = self._value(trial)
        except StudyError as error:
            state, values, constraints, reason = "FAIL", None, {}, str(error)
        measured = Measured.of(self._by_seed(trial)) if state == "COMPLETE" and trial.kind == "sampled" else None
        self.told(trial, state, values, constraints, reason, None if measured is None else measured.sd)

    def choose(self, *, final: bool = False) -> None:
        """Chooses every system's row: its only trial, or the best of its tuning trials once all were tuned (`final`:
        the best so far).
        """
        for trial in self._ledger.index.systems:
            if trial.system is not None:
                self._chosen(trial.system, trial.number, len(self._grids.get(trial.system, ())))
        for system, rates in self._grids.items():
            trials = self._tuning(system)
            before = self._ledger.study.tuned.get(system)
            if (before is None or before.rate is None) and len(trials) == len(rates) and all(t.told for t in trials):
                found = self._vertex(system, trials)
                if before is None or found.rate is not None:
                    self._ledger.write(found)
        for system, count in self._tuned.items():
            trials = self._tuning(system)
            best = self._best(trials)
            if best is not None and (final or len(trials) >= count) and all(trial.told for trial in trials):
                self._chosen(system, best.number, len(trials))

    def _tuning(self, system: str) -> list[TrialRecord]:
        return [each for each in self._ledger.index.of("tuning", system) if not each.rejected]

    def _vertex(self, system: str, trials: Sequence[TrialRecord]) -> SystemTuned:
        """Returns the learning rate at which a system runs. A rate that diverged has no value on the curve."""
        values = {
            trial.number: (float(trial.asked.params[RATE_NAME]), trial.told.values[0])
            for trial in trials
            if trial.feasible and trial.told is not None and trial.told.values
        }
        if not values:
            return SystemTuned(system=system, rate=None, trials=[trial.number for trial in trials])
        rates, losses = zip(*values.values(), strict=True)
        found = best_rate(rates, losses, self._objectives.first.sign > 0)
        return SystemTuned(system=system, rate=found.rate, value=found.value, edge=found.edge, trials=list(values))

    def _chosen(self, system: str, trial: int, spent: int) -> None:
        before = self._ledger.study.chosen.get(system)
        if before is None or (before.trial, before.spent) != (trial, spent):
            self._ledger.write(SystemChosen(system=system, trial=trial, spent=spent))

    def _best(self, trials: Sequence[TrialRecord]) -> TrialRecord | None:
        """Returns the best trial by the first goal; diverged trials rank last, the first of equals wins. None when all
        failed.
        """
        sign = self._objectives.first.sign
        ended = [trial for trial in trials if trial.complete]

        def rank(trial: TrialRecord) -> tuple[bool, float]:
            assert trial.told is not None and trial.told.values is not None
            return trial.told.constraints[DIVERGED] > 0, sign * trial.told.values[0]

        return min(ended, key=rank, default=None)

    def told(
        self,
        trial: TrialRecord,
        state: str,
        values: Sequence[float] | None,
        constraints: Mapping[str, float],
        reason: str | None,
        sd: Sequence[float] | None = None,
    ) -> None:
        """Records the end of a trial, then tells Optuna. A result that was recorded but not told is told again at the
        next start.
        """
        self._ledger.write(
            TrialTold(
                trial=trial.number,
                state=state,
                values=None if values is None else list(values),
                constraints=dict(constraints),
                reason=reason,
                sd=None if sd is None else list(sd),
            )
        )
        self._samplers.tell(trial)

    def _value(self, trial: TrialRecord) -> tuple[str, tuple[float, ...] | None, dict[str, float], str | None]:
        if given_up(trial, self._retries):
            reasons = [launch.reason for launch in trial.launches.values() if launch.outcome not in ENDED]
            return "FAIL", None, {}, next((reason for reason in reasons if reason), "a run failed")
        runs = [fold_run(run_folder(self._ledger.folder, trial, index)) for index in trial.seeds]
        goals = self._objectives if trial.kind == "sampled" else self._objectives.only_first
        limits = self._limits if trial.kind == "sampled" else ()
        found = verdict(goals, limits, runs, trial.vocabulary)
        reason = next((run.reason for run in runs if run.state == "diverged"), None)
        return "COMPLETE", found.values, found.constraints, reason

    def _ended(self, trial: TrialRecord) -> bool:
        """Whether all runs of a trial have ended; after a failure for good, whether its other seeds' runs have
        ended.
        """
        if given_up(trial, self._retries):
            return all(launch.outcome is not None for launch in trial.launches.values())
        return all(trial.done(index) for index in trial.seeds)
