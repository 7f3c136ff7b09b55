"""Learned early stopping: predicts the end of every run from all runs. The option with the largest expected improvement
for its FLOPs goes on next: a run that waits at a rung, or a new configuration.

Every prediction and every decision is recorded before anything follows from it. A restarted coordinator follows the
last recorded decision and computes no decision again, because results of linear algebra differ in their last digits
between machines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pld_search.frozen import digest_of
from pld_search.records.study_events import SearchDecided, TrialPredicted
from pld_search.records.trial_record import TrialRecord
from pld_search.search.averaged_process import AveragedProcess, possible
from pld_search.search.gaussian_process import expected_improvement
from pld_search.search.kernel_parameters import Parameters
from pld_search.search.ledger import Ledger
from pld_search.search.observations import ObservedValue, observations, observed
from pld_search.search.observed_runs import Floats, Observed
from pld_search.search.space_filling import candidates
from pld_search.search.trial_queue import sampled_for
from pld_search.search.worth_of_looking import worth
from pld_search.spaces.early_stopping import Learned
from pld_search.spaces.flat_space import FlatSpace, key_of
from pld_search.spaces.study import Study

ENDS = 2
"""Number of ended runs that a model needs before it decides."""
LEAST = 0.01
"""An expected improvement below this share of the distance from the best value to the median justifies no FLOPs."""
_DECAY = 0.2
_NEW = 10**9
"""First run number of configurations that were not asked yet."""
_TRIED, _MOST_WAITING = 16, 48
_FLOPS = "forecast/total_flops"


@dataclass(frozen=True, slots=True)
class Option:
    """A choice for what goes on next: a waiting trial, or (None) a new configuration. `worth` is in the objective's
    unit for the FLOPs of a whole run.
    """

    trial: int | None
    mean: float
    sd: float
    worth: float
    gain: float


class Forecaster:
    """Predicts the ends of runs from the ledger; keeps the model while the data stays the same."""

    def __init__(self, ledger: Ledger, study: Study, rule: Learned) -> None:
        self._ledger, self._study = ledger, study
        self.shares = [float(share) for share in rule.shares]
        self.space = FlatSpace(study.experiment)
        self._known: tuple[str, AveragedProcess] | None = None
        self._fits: dict[str, list[Parameters]] = {}

    def model(self) -> tuple[AveragedProcess, str] | None:
        """Returns the process and the digest of its data; None while too few runs have ended."""
        rows = self._rows()
        if sum(row.share == 1.0 for row in rows) < ENDS:
            return None
        digest = digest_of([list(row) for row in rows])
        if self._known is None or self._known[0] != digest:
            parameters = self._parameters(rows)
            self._known = digest, AveragedProcess(self._observed(rows), self.space.columns, parameters)
        return self._known[1], digest

    def ended(self) -> list[TrialRecord]:
        """Returns the sampled trials that reached their end and violated no constraint."""
        return [trial for trial in sampled_for(self._ledger, None) if trial.feasible]

    def finished(self) -> Floats:
        """Returns the points of the ended trials; without any, the points of all configurations that have an
        end value.
        """
        params = [trial.asked.params for trial in self.ended()]
        return self.space.encoded(params or [row.params for row in self._rows() if row.share == 1.0])

    def _rows(self) -> list[ObservedValue]:
        return observations(self._ledger, self._study, self.space, self.shares)

    def _observed(self, rows: Sequence[ObservedValue]) -> Observed:
        return observed(self._ledger, self._study, self.space, rows)

    def _parameters(self, rows: Sequence[ObservedValue]) -> list[Parameters]:
        """Fits anew after each eighth of more data: a function of the records, not of the time at which they
        were read.
        """
        most = len(rows) - len(rows) % max(1, len(rows) // 8)
        if {row.share for row in rows[:most]} != {row.share for row in rows}:
            most = len(rows)
        digest = digest_of([list(row) for row in rows[:most]])
        if digest not in self._fits:
            self._fits = {digest: possible(self._observed(rows[:most]), self.space.columns)}
        return self._fits[digest]


class Chooser:
    """Decides what goes on; `asking` says whether the study may still ask for new configurations."""

    def __init__(self, ledger: Ledger, study: Study, rule: Learned) -> None:
        self._ledger, self._study, self._rule = ledger, study, rule
        self.forecaster = Forecaster(ledger, study, rule)

    def predict(self, trial: TrialRecord) -> None:
        """Records the predicted end of a trial that has just been judged at a rung."""
        found = self.forecaster.model()
        if found is None:
            return
        model, digest = found
        sign = self._study.objectives.first.sign
        mean, sd = model.runs_end(self._encoded([trial]), np.array([trial.number]))
        self._ledger.write(
            TrialPredicted(
                trial=trial.number,
                rung=len(trial.rungs) - 1,
                mean=sign * float(mean[0]),
                sd=float(sd[0]),
                data_digest=digest,
            )
        )

    def choose(self, waiting: Sequence[TrialRecord], *, asking: bool) -> SearchDecided | None:
        """Makes and records the next decision; returns None when no option is worth its FLOPs."""
        found = self.forecaster.model()
        if found is None:
            decided = self._by_rank(waiting, asking=asking)
        else:
            decided = self._by_model(*found, waiting, asking=asking)
        if decided is not None:
            self._ledger.write(decided)
        return decided

    def _by_rank(self, waiting: Sequence[TrialRecord], *, asking: bool) -> SearchDecided | None:
        """Decides before enough runs have ended. First the space-filling configurations are seen. Then the best trial
        of the furthest rung goes on, and no more trials at once than the model needs ended runs.
        """
        trials = sampled_for(self._ledger, None)
        known = sum(bool(trial.rungs) for trial in trials)
        going = sum(trial.complete or (trial.open and trial.promoted > 0 and not trial.waits) for trial in trials)
        reason = (
            f"{known} configurations were seen, {going} have ended or are on their way, and a model needs {ENDS} ended"
        )
        if asking and (known < self._starts() or going >= ENDS):
            return SearchDecided(trial=None, by="promotion", reason=reason)
        if not waiting or going >= ENDS:
            return None
        furthest = max(len(trial.rungs) for trial in waiting)
        sign = self._study.objectives.first.sign
        best = min(
            (trial for trial in waiting if len(trial.rungs) == furthest),
            key=lambda trial: (sign * trial.rungs[-1].values[0], trial.number),
        )
        return SearchDecided(trial=best.number, by="promotion", reason=reason)

    def _starts(self) -> int:
        created = self._ledger.study.created
        most = created.starts if created is not None and created.starts is not None else 0
        return min(most, 1 + 2 * len(self.forecaster.space))

    def _by_model(
        self, model: AveragedProcess, digest: str, waiting: Sequence[TrialRecord], *, asking: bool
    ) -> SearchDecided | None:
        best = float(model.predict(self.forecaster.finished())[0].min())
        options = self._waiting(model, best, waiting)
        if asking:
            options += self._new(model, best)
        if not options:
            return None
        chosen = max(options, key=lambda option: (option.worth, option.trial is not None))
        if chosen.gain < LEAST * self._distance(best) and not asking:
            return None
        sign = self._study.objectives.first.sign
        runner_up = sorted((each for each in options if each is not chosen), key=lambda each: -each.worth)[:3]
        return SearchDecided(
            trial=chosen.trial,
            by="model",
            mean=sign * chosen.mean,
            sd=chosen.sd,
            worth=chosen.worth,
            gain=chosen.gain,
            best=sign * best,
            others=[{"trial": each.trial, "worth": each.worth} for each in runner_up],
            data_digest=digest,
        )

    def _distance(self, best: float) -> float:
        """Returns the distance from the best mean to the median of the ended trials."""
        sign = self._study.objectives.first.sign
        values = [sign * trial.told.values[0] for trial in self.forecaster.ended() if trial.told and trial.told.values]
        return max(float(np.median(values)) - best, 0.0) if values else 0.0

    def _waiting(self, model: AveragedProcess, best: float, waiting: Sequence[TrialRecord]) -> list[Option]:
        """Returns the waiting trials as options; of many trials, the trials with the largest expected improvement."""
        if not waiting:
            return []
        points, flops = self._encoded(waiting), self._mean_flops()
        means, sds = model.predict(points)
        gains = expected_improvement(means, sds, best)
        rows = []
        for row in np.argsort(-gains, kind="stable")[:_MOST_WAITING]:
            trial = waiting[int(row)]
            size = trial.asked.forecast.get(_FLOPS, flops) / flops if flops else 1.0
            rows.append(
                _Candidate(
                    trial.number, points[row], trial.number, len(trial.rungs), float(means[row]), float(sds[row]), size
                )
            )
        return self._judged(model, best, rows)

    def _new(self, model: AveragedProcess, best: float) -> list[Option]:
        """Returns the best new configuration as the only option; empty when every candidate was asked already."""
        space = self.forecaster.space
        trials = sampled_for(self._ledger, None)
        asked = {key_of(trial.asked.params) for trial in trials}
        drawn = candidates(space, self._study.experiment, seed=len(trials))
        fresh = [params for params in drawn if key_of(params) not in asked]
        if not fresh:
            return []
        points = space.encoded(fresh)
        means, sds = model.predict(points)
        tried = np.argsort(-expected_improvement(means, sds, best), kind="stable")[:_TRIED]
        rows = [_Candidate(None, points[row], _NEW + int(row), 0, float(means[row]), float(sds[row])) for row in tried]
        found = self._judged(model, best, rows)
        return [max(found, key=lambda option: option.worth)]

    def _judged(self, model: AveragedProcess, best: float, rows: Sequence[_Candidate]) -> list[Option]:
        found = []
        for rung in sorted({row.rung for row in rows}):
            own = [row for row in rows if row.rung == rung]
            ahead = [*self.forecaster.shares[rung:], 1.0]
            moves = np.array([model.looks(row.point, row.sd, row.run, ahead) for row in own])
            costs = self._costs(rung)[None] * np.array([[row.size] for row in own])
            values = worth(best, np.array([row.mean for row in own]), moves, costs)
            gains = expected_improvement(np.array([row.mean for row in own]), np.array([row.sd for row in own]), best)
            found += [
                Option(row.trial, row.mean, row.sd, float(value), float(gain))
                for row, value, gain in zip(own, values, gains, strict=True)
            ]
        return found

    def _costs(self, rung: int) -> Floats:
        """Returns the cost of each look from a rung on, in whole runs: the training up to it, and the branch that
        decays there.
        """
        places = [0.0, *self.forecaster.shares, 1.0]
        stretches = np.diff(places)[rung:]
        branches = [self._decay() * share for share in self.forecaster.shares[rung:]]
        return np.asarray(stretches + np.array([*branches, 0.0]))

    def _mean_flops(self) -> float:
        """The expected FLOPs of a whole run, mean over trials; 0 when none was forecast."""
        trials = sampled_for(self._ledger, None)
        return sum(each.asked.forecast.get(_FLOPS, 0.0) for each in trials) / max(1, len(trials))

    def _decay(self) -> float:
        """The cost of a branch as a share of the steps that its run has spent."""
        for trial in sampled_for(self._ledger, None):
            optimizer = (trial.asked.experiment or {}).get("optimizer") or {}
            if isinstance(optimizer.get("decay"), float):
                return float(optimizer["decay"])
        return _DECAY

    def _encoded(self, trials: Sequence[TrialRecord]) -> Floats:
        return self.forecaster.space.encoded([trial.asked.params for trial in trials])


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A configuration at a rung, with the mean and sd predicted for its end; `run` is a number that no other
    run has.
    """

    trial: int | None
    point: Floats
    run: int
    rung: int
    mean: float
    sd: float
    size: float = 1.0
