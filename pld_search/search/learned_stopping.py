"""Early stopping that learns: the end of every run is predicted from all runs, and what goes on next is what promises
the largest improvement for its FLOPs: a run that waits at a rung, or a new configuration.

Every prediction and every decision is a record before anything follows from it. A coordinator that is started anew
follows the last decision and computes none again, for linear algebra differs in its last digits between machines.
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
from pld_search.search.observed_runs import Floats
from pld_search.search.space_filling import candidates
from pld_search.search.trial_queue import sampled_for
from pld_search.search.worth_of_looking import worth
from pld_search.spaces.early_stopping import Learned
from pld_search.spaces.flat_space import FlatSpace, key_of
from pld_search.spaces.study import Study

ENDS = 2
"""Runs that must have ended before a model decides."""
LEAST = 0.01
"""An expected improvement below this share of the distance from the best to the median is worth no FLOPs."""
_DECAY = 0.2
_NEW = 10**9
"""Runs of configurations that were not asked have numbers from here on."""
_TRIED, _MOST_WAITING = 16, 48
_FLOPS = "forecast/total_flops"


@dataclass(frozen=True, slots=True)
class Option:
    """What may go on next: a trial that waits, or (None) a new configuration; `worth` in the objective's unit for a
    whole run's FLOPs.
    """

    trial: int | None
    mean: float
    sd: float
    worth: float
    gain: float


class Forecaster:
    """Predicts ends from the ledger. Asked twice with the same data it answers from memory."""

    def __init__(self, ledger: Ledger, study: Study, rule: Learned) -> None:
        self._ledger, self._study = ledger, study
        self.shares = [float(share) for share in rule.shares]
        self.space = FlatSpace(study.experiment)
        self._known: tuple[str, AveragedProcess] | None = None
        self._fits: dict[str, list[Parameters]] = {}

    def model(self) -> tuple[AveragedProcess, str] | None:
        """The process and the digest of what it was fitted to; None while too few runs have ended."""
        rows = self._rows()
        if sum(row.share == 1.0 for row in rows) < ENDS:
            return None
        digest = digest_of([list(row) for row in rows])
        if self._known is None or self._known[0] != digest:
            parameters = self._parameters(rows)
            self._known = digest, AveragedProcess(observed(rows, self.space), self.space.columns, parameters)
        return self._known[1], digest

    def ended(self) -> list[TrialRecord]:
        """The sampled trials that reached their end and violated nothing."""
        return [trial for trial in sampled_for(self._ledger, None) if trial.feasible]

    def finished(self) -> Floats:
        """The points of those; of all that has an end where none of them has."""
        params = [trial.asked.params for trial in self.ended()]
        return self.space.encoded(params or [row.params for row in self._rows() if row.share == 1.0])

    def _rows(self) -> list[ObservedValue]:
        return observations(self._ledger, self._study, self.space, self.shares)

    def _parameters(self, rows: Sequence[ObservedValue]) -> list[Parameters]:
        """Fitted anew whenever there is an eighth more data: a function of the records, not of when they were read."""
        most = len(rows) - len(rows) % max(1, len(rows) // 8)
        if {row.share for row in rows[:most]} != {row.share for row in rows}:
            most = len(rows)
        digest = digest_of([list(row) for row in rows[:most]])
        if digest not in self._fits:
            seen = observed(rows[:most], self.space)
            self._fits = {digest: possible(seen, self.space.columns)}
        return self._fits[digest]


class Chooser:
    """Decides what goes on; `asking` says whether new configurations may still be asked for."""

    def __init__(self, ledger: Ledger, study: Study, rule: Learned) -> None:
        self._ledger, self._study, self._rule = ledger, study, rule
        self.forecaster = Forecaster(ledger, study, rule)

    def predict(self, trial: TrialRecord) -> None:
        """Record what the model expects of the end of a trial that has just been judged at a rung."""
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
        """The next decision, recorded; None where nothing that may go on is worth its FLOPs."""
        found = self.forecaster.model()
        if found is None:
            decided = self._by_rank(waiting, asking=asking)
        else:
            decided = self._by_model(*found, waiting, asking=asking)
        if decided is not None:
            self._ledger.write(decided)
        return decided

    def _by_rank(self, waiting: Sequence[TrialRecord], *, asking: bool) -> SearchDecided | None:
        """Before enough runs have ended: the best of those that got furthest, once the space-filling configurations
        have been seen, and no more of them at once than runs are needed.
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
        """From the best mean to the median of what has ended."""
        sign = self._study.objectives.first.sign
        values = [sign * trial.told.values[0] for trial in self.forecaster.ended() if trial.told and trial.told.values]
        return max(float(np.median(values)) - best, 0.0) if values else 0.0

    def _waiting(self, model: AveragedProcess, best: float, waiting: Sequence[TrialRecord]) -> list[Option]:
        """What waits, of many those with the largest expected improvement."""
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
        """The best of the configurations that were not asked yet; nothing where there is none."""
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
        """What each look from a rung on costs, in whole runs: the stretch to it, and there the branch that decays."""
        places = [0.0, *self.forecaster.shares, 1.0]
        stretches = np.diff(places)[rung:]
        branches = [self._decay() * share for share in self.forecaster.shares[rung:]]
        return np.asarray(stretches + np.array([*branches, 0.0]))

    def _mean_flops(self) -> float:
        """The expected FLOPs of a whole run, mean over trials; 0 where none was forecast."""
        trials = sampled_for(self._ledger, None)
        return sum(each.asked.forecast.get(_FLOPS, 0.0) for each in trials) / max(1, len(trials))

    def _decay(self) -> float:
        """The share of what a run has spent that a branch spends."""
        for trial in sampled_for(self._ledger, None):
            optimizer = (trial.asked.experiment or {}).get("optimizer") or {}
            if isinstance(optimizer.get("decay"), float):
                return float(optimizer["decay"])
        return _DECAY

    def _encoded(self, trials: Sequence[TrialRecord]) -> Floats:
        return self.forecaster.space.encoded([trial.asked.params for trial in trials])


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A configuration with what is expected of its end, at a rung; `run` is a number no other run has."""

    trial: int | None
    point: Floats
    run: int
    rung: int
    mean: float
    sd: float
    size: float = 1.0
