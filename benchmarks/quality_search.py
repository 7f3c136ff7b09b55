"""Simulates one search over a table of runs: the coordinator's own decisions, with the table in place of training.

The deciding parts are real: the sampler (`OptunaStudy`, made anew and seeded for each question, with the waiting
trials), the order of work (`Agenda`, which also gives equal configurations one result), promotion and Optuna's pruners
(`Judge`), and the fold of their records. The acting parts are replaced: the loop below replaces `Loop`, the table
replaces runs, branches and `Teller`'s values, and a ledger keeps no file. All slots compute the same FLOPs in the same
time, so with several slots several parts of runs are live at a decision.

All computed FLOPs count once: a trunk up to its last step, and each branch; of live parts, the share that is computed
at that time. A search ends when it has asked for all its
trials or for every configuration of the table, because further questions could only repeat.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import optuna

from pld_search.frozen import digest_of
from pld_search.records import jsonl
from pld_search.records.study_events import (
    RunExited,
    RungReached,
    RunLaunched,
    StudyCreated,
    StudyEvent,
    TrialAsked,
    TrialEvent,
    TrialTold,
    ValuesBorrowed,
)
from pld_search.records.study_record import StudyRecord, apply
from pld_search.records.trial_record import LaunchRecord, TrialRecord
from pld_search.report.rung_table import spearman
from pld_search.search.configuration_value import DIVERGED
from pld_search.search.ledger import Ledger
from pld_search.search.optuna.backend import OptunaBackend
from pld_search.search.optuna.optuna_study import OptunaStudy
from pld_search.search.optuna.pruners import make_pruner
from pld_search.search.optuna.samplers import OptunaSamplers, known_before
from pld_search.search.run_queue import Agenda, QueuedRun
from pld_search.search.sampling import Samplers, shares_by_step, step_of
from pld_search.search.stop_trials import Judge
from pld_search.search.trial_index import TrialIndex
from pld_search.spaces.early_stopping import EarlyStopping
from pld_search.spaces.study import Budget, Search, Study


@dataclass(frozen=True, slots=True)
class Run:
    """The results of a run: the loss at its end; at each rung's share the losses of the trunk and of its branch; the
    TFLOP of the trunk so far, and of the branch.
    """

    digest: str
    loss: float
    tflop: float
    steps: Mapping[float, int]
    trunk: Mapping[float, tuple[float, float]]
    branch: Mapping[float, tuple[float, float]]


class Table:
    """Every configuration of a finite space: parameters -> the results of its run."""

    def __init__(self, tree: Any, runs: Mapping[str, Run]) -> None:
        self.tree, self._runs = tree, runs
        self.losses = sorted(run.loss for run in runs.values())
        self.full = sum(run.tflop for run in runs.values()) / len(runs)

    def __len__(self) -> int:
        return len(self._runs)

    @property
    def runs(self) -> list[Run]:
        return list(self._runs.values())

    def find(self, params: Mapping[str, Any]) -> Run:
        return self._runs[key_of(params)]

    def regret(self, loss: float) -> float:
        """Returns (loss - best) / (median - best): 0 for the best configuration, 1 for a median one."""
        best, count = self.losses[0], len(self.losses)
        median = (self.losses[(count - 1) // 2] + self.losses[count // 2]) / 2
        return (loss - best) / (median - best)


def key_of(params: Mapping[str, Any]) -> str:
    """Returns parameters as text; floats are rounded to ten digits, so that equal grid values agree."""
    return json.dumps(
        {name: float(f"{value:.10g}") if isinstance(value, float) else value for name, value in params.items()},
        sort_keys=True,
    )


def load_table(path: Path) -> Table:
    """Returns the runs of seed 0 in a file of `quality_table.py`. Raises ValueError when one diverged, because its
    later results are unknown.
    """
    first, *rows = jsonl.read(path)
    runs = {}
    for row in rows:
        if row["seed"] == 0:
            if row["state"] != "finished":
                raise ValueError(f"{path}: {row['params']} {row['state']}; choose a space in which every run ends")
            runs[key_of(row["params"])] = _run(row)
    return Table(first["about"]["space"]["experiment"], runs)


def _run(row: Mapping[str, Any]) -> Run:
    def seen(name: str) -> dict[float, tuple[float, float]]:
        return {rung["share"]: (rung[f"{name}_loss"], rung[f"{name}_tflop"]) for rung in row["rungs"]}

    return Run(
        row["digest"],
        row["loss"],
        row["tflop"],
        {rung["share"]: rung["step"] for rung in row["rungs"]},
        seen("trunk"),
        seen("branch"),
    )


@dataclass(frozen=True, slots=True)
class Method:
    """A search method: the sampler, and the rule of early stopping."""

    name: str
    sampler: str
    rule: EarlyStopping | None = None


@dataclass(slots=True)
class Found:
    """The result of a search: (cost in full runs, regret) at each better configuration, and its total cost."""

    better: list[tuple[float, float]] = field(default_factory=list)
    asked: int = 0
    finished: int = 0
    cost: float = 0.0
    branches: float = 0.0

    def spend(self, cost: float, *, branch: bool = False) -> None:
        self.cost += cost
        self.branches += cost if branch else 0.0

    def ended(self, regret: float) -> None:
        """Records that one more run has ended with this regret."""
        self.finished += 1
        if not self.better or regret < self.better[-1][1]:
            self.better.append((self.cost, regret))

    def cost_to(self, regret: float) -> float:
        """Returns the cost in full runs when an ended run first had at most this regret; infinite when none has."""
        return next((cost for cost, reached in self.better if reached <= regret), math.inf)


class _Memory(Ledger):
    """The records of a study, in memory only."""

    def __init__(self) -> None:
        self.folder, self.study, self.changed, self.count = Path(), StudyRecord(), False, 0
        self.index = TrialIndex(())

    def write(self, event: StudyEvent) -> None:
        record = replace(event, seq=self.count, time=float(self.count))
        apply(self.study, record)
        if isinstance(record, TrialAsked | TrialEvent):
            self.index.update(self.study.trials[record.trial])
        self.count += 1


class _Teller:
    """The part of `Teller` that a judge and the end of a run need."""

    def __init__(self, ledger: Ledger, samplers: Samplers) -> None:
        self._ledger, self._samplers = ledger, samplers

    def told(
        self,
        trial: TrialRecord,
        state: str,
        values: Sequence[float] | None,
        constraints: Mapping[str, float],
        reason: str | None,
    ) -> None:
        told = TrialTold(trial=trial.number, state=state, values=values, constraints=constraints, reason=reason)
        self._ledger.write(told)
        self._samplers.tell(trial)


class _Judge(Judge):
    """The judge, which reads the values of a rung from the table."""

    def __init__(
        self, ledger: Ledger, study: Study, teller: Any, shares: Sequence[float], runs: Mapping[int, Run]
    ) -> None:
        super().__init__(ledger, study, teller, OptunaBackend())
        self._shares, self._seen = shares, runs

    def _take_in(self, trial: TrialRecord) -> None:
        assert self._rule is not None
        rung, run = trial.promoted, self._seen[trial.number]
        shown = run.branch if self.branching else run.trunk
        values = [shown[self._shares[rung]][0]]
        self._ledger.write(
            RungReached(
                trial=trial.number, rung=rung, steps=trial.pause_at, step=step_of(self._rule, rung), values=values
            )
        )


@dataclass(frozen=True, slots=True)
class _Live:
    """A part of a run that a slot computes from time `begun` on; a time is the TFLOP that one slot has computed."""

    task: QueuedRun
    launch: int
    begun: float
    tflop: float
    outcome: str

    @property
    def end(self) -> float:
        return self.begun + self.tflop


class SimulatedSearch:
    """One search by `method`. `seed` is the sampler's; it is also part of the study's name, by which Hyperband draws
    brackets.
    """

    def __init__(
        self,
        table: Table,
        method: Method,
        seed: int,
        trials: int,
        starts: int | None = None,
        borrowed: ValuesBorrowed | None = None,
        slots: int = 1,
    ) -> None:
        search = Search(sampler=method.sampler, trials=trials, seed=seed, early_stopping=method.rule)
        study = Study(name=f"quality-{seed}", experiment=table.tree, budget=Budget(steps=1), search=search)
        self._table, self._study = table, study
        self._runs: dict[int, Run] = {}
        self._slots, self._live, self._now, self._computed = slots, list[_Live](), 0.0, 0.0
        self._shares = [float(share) for share in search.rungs]
        self._ledger, self._found, self._trials = _Memory(), Found(), trials
        asked = optuna.create_study(study_name=study.name)
        pruner = make_pruner(method.rule) if method.rule is not None else None
        shares = shares_by_step(method.rule) if method.rule is not None else None
        self._ledger.write(StudyCreated(id="quality", name=study.name, starts=starts))
        if borrowed is not None:
            self._ledger.write(borrowed)
        given, others = known_before(study, self._ledger)
        own = OptunaStudy(
            asked, method.sampler, seed, pruner, starts=starts, shares=shares, given=given, borrowed=others
        )
        self._samplers = OptunaSamplers(self._ledger, None, {None: own})
        self._teller = _Teller(self._ledger, self._samplers)
        self._judge = _Judge(self._ledger, study, self._teller, self._shares, self._runs)
        self._agenda = Agenda(self._ledger, retries=0, branching=self._judge.branching)

    @property
    def trials(self) -> list[TrialRecord]:
        """All asked trials, as the records hold them."""
        return list(self._ledger.study.trials.values())

    def run(self, regret: float | None = None, looser: float = math.inf) -> Found:
        """Runs to its end. With `regret`, stops when an ended run has at most this regret. It also stops when all
        configurations with such a regret were stopped early and an ended run has at most `looser`.
        """
        while regret is None or self._found.cost_to(regret) == math.inf:
            self._take_stock()
            if regret is not None and self._found.cost_to(looser) < math.inf and self._out_of_reach(regret):
                break
            if not self._go_on():
                break
        return self._found

    def _go_on(self) -> bool:
        """Fills a slot, or waits for the next end of a part; returns False when nothing is left."""
        if len(self._live) < self._slots:
            task = self._agenda.next([live.task.key for live in self._live])
            if task is not None:
                self._start(task)
                return True
            if self._judge.promote() or self._ask():
                return True
        if self._live:
            self._wait()
            return True
        return self._judge.close()

    def _out_of_reach(self, regret: float) -> bool:
        """Whether every configuration that meets `regret` was asked for and stopped for good."""
        meeting = {run.digest for run in self._table.runs if self._table.regret(run.loss) <= regret}
        stopped = {self._runs[trial.number].digest for trial in self.trials if trial.pruned}
        return meeting <= stopped

    def _take_stock(self) -> None:
        self._agenda.reuse()
        for trial in self.trials:
            if trial.open and trial.done(0):
                self._teller.told(trial, "COMPLETE", [self._runs[trial.number].loss], {DIVERGED: 0.0}, None)
        self._judge.judge()

    def _ask(self) -> bool:
        """Asks for one new configuration and the repeats before it. A repeat takes no slot, so the coordinator asks for
        the next configuration before it tells how the repeat ended. Returns False when none is left to ask for.
        """
        before = len(self._runs)
        while self._ask_one():
            digests = [run.digest for run in self._runs.values()]
            if digests.index(digests[-1]) == len(digests) - 1:
                break
        return len(self._runs) > before

    def _ask_one(self) -> bool:
        """Asks for one more configuration; returns False when none is left to ask for."""
        number = len(self._runs)
        if number == self._trials or len({run.digest for run in self._runs.values()}) == len(self._table):
            return False
        answer = self._samplers.ask(None, self._study.tree_of(None))
        assert answer is not None
        asked = answer[0]
        run = self._runs[number] = self._table.find(asked.params)
        self._ledger.write(
            TrialAsked(
                trial=number,
                kind="sampled",
                system=None,
                sampler_study=self._study.name,
                number=asked.number,
                params=asked.params,
                distributions=asked.distributions,
                seeds=[0],
                digest=run.digest,
                experiment={"seed": 0},
                rungs=[run.steps[share] for share in self._shares],
            )
        )
        self._found.asked += 1
        return True

    def _start(self, task: QueuedRun) -> None:
        """Gives a part of a run to a free slot; its results and its cost are read from the table."""
        number, run = task.trial.number, self._runs[task.trial.number]
        rung = task.trial.promoted
        before = run.trunk[self._shares[rung - 1]][1] if rung else 0.0
        if task.branch is not None:
            tflop, outcome = run.branch[self._shares[rung]][1], "branched"
        elif task.until is not None:
            tflop, outcome = run.trunk[self._shares[rung]][1] - before, "paused"
        else:
            tflop, outcome = run.tflop - before, "finished"
        launch = 1 + task.trial.launches.get(0, LaunchRecord()).launches
        self._live.append(_Live(task, launch, self._now, tflop, outcome))
        self._ledger.write(
            RunLaunched(trial=number, seed_index=0, launch=launch, slot=0, until=task.until, branch=task.branch)
        )

    def _wait(self) -> None:
        """Goes on to the next end of a part, of equal ends the part that began first."""
        live = min(self._live, key=lambda each: each.end)
        self._live.remove(live)
        self._now = live.end
        self._computed += live.tflop
        under_way = sum(self._now - each.begun for each in self._live)
        cost = (self._computed + under_way) / self._table.full
        self._found.spend(cost - self._found.cost)
        self._found.branches += live.tflop / self._table.full if live.task.branch is not None else 0.0
        number = live.task.trial.number
        self._ledger.write(RunExited(trial=number, seed_index=0, launch=live.launch, outcome=live.outcome))
        if live.outcome == "finished":
            self._found.ended(self._table.regret(self._runs[number].loss))


class Searches:
    """Simulated searches, written one on each line as they end, so a longer simulation continues a shorter one."""

    def __init__(self, table: Table, path: Path, trials: int) -> None:
        self._table, self._trials, self._path = table, trials, path
        self._key = digest_of({"losses": table.losses, "trials": trials})
        self._known = {(row["method"], row["seed"]): _found(row) for row in jsonl.read(path) if row["of"] == self._key}

    def __call__(self, method: Method, seed: int, goal: float, looser: float) -> Found:
        name = f"{method.sampler} {method.rule.model_dump(mode='json') if method.rule is not None else 'without stops'}"
        if (name, seed) not in self._known:
            found = self._known[name, seed] = SimulatedSearch(self._table, method, seed, self._trials).run(goal, looser)
            with jsonl.Writer(self._path) as writer:
                writer.write({"of": self._key, "method": name, "seed": seed, **_rounded(found)})
        return self._known[name, seed]


def _rounded(found: Found) -> dict[str, Any]:
    better = [[round(cost, 4), round(regret, 5)] for cost, regret in found.better]
    return {**asdict(found), "better": better, "cost": round(found.cost, 4), "branches": round(found.branches, 4)}


def _found(row: Mapping[str, Any]) -> Found:
    values = {name: row[name] for name in ("asked", "finished", "cost", "branches")}
    return Found(better=[(cost, regret) for cost, regret in row["better"]], **values)


def rank_correlations(table: Table) -> list[dict[str, float]]:
    """Returns Spearman's correlation of the loss at each rung with the loss at the end, for trunks and branches."""
    rows = []
    for share in sorted(set(itertools.chain.from_iterable(run.trunk for run in table.runs))):
        trunk = spearman([(run.trunk[share][0], run.loss) for run in table.runs]).value
        branch = spearman([(run.branch[share][0], run.loss) for run in table.runs]).value
        rows.append({"share": share, "trunk": trunk, "branch": branch})
    return rows
