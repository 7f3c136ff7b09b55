"""One configuration as the study's records tell of it: asked, launched, reused, retried, told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

TrialKind = Literal["system", "tuning", "sampled"]
RunKey = tuple[int, int]
"""(trial, seed index)."""
CONFIRMATION = 1000
"""Seed indices of runs that confirm start here."""
ENDED = ("finished", "diverged")
"""Outcomes of a run that is over: it has a result."""
PART_DONE = ("paused", "branched")
"""Outcomes of a part of a run: it paused at its rung, or the branch that left it there has ended."""
FAILURES = ("crashed", "out_of_memory", "killed", "stalled")
"""Outcomes that another launch may mend; a run that timed out, or found no room on the disk, is not launched again
unasked, and one that lost its node is, but that is not held against it.
"""


@dataclass(slots=True)
class LaunchRecord:
    """The last launch of one run and how it ended, as far as the coordinator knows (`outcome` None: not seen to end).

    `launcher` says who started it, and `name` what it was told to call it; `job` is what a cluster calls it, None for a
    process of `host` and while nobody knows whether the cluster took it; `since` when, in Unix seconds; `attempt` and
    `log_size` (bytes) are what the run's events and log had come to before it. `failures` and `seconds` are over all
    launches since the trial was last given a chance. `until` and `branch` say which part
    of the run was launched: up to a rung, or the branch that left it there; None: to its end.
    """

    launches: int = 0
    failures: int = 0
    seconds: float = 0.0
    until: int | None = None
    branch: int | None = None
    pid: int | None = None
    process_started: float | None = None
    host: str | None = None
    launcher: str = "local"
    name: str | None = None
    job: str | None = None
    since: float | None = None
    attempt: int = 0
    log_size: int = 0
    slot: int | None = None
    code: int | None = None
    outcome: str | None = None
    reason: str | None = None
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """A question as a sampler's study knows it; `told` (a record) is None while it is open, `intermediate` are values
    by rung (one objective only).
    """

    number: int
    params: dict[str, Any]
    distributions: dict[str, Any]
    told: dict[str, Any] | None
    intermediate: dict[int, float] = field(default_factory=dict)


@dataclass(slots=True)
class TrialRecord:
    """One configuration: asked, perhaps rejected, run once a seed (or the result of an equal run reused), told.

    `earlier` holds the questions that ended in a failure before the trial got a new chance. A trial with rungs pauses
    at each: `paused` is the step that a seed's run has paused at, `branched` the steps whose branch has ended, `rungs`
    what it was judged by, and `promoted` how many rungs it went on from. `confirming` are seed indices of fresh runs,
    which its told values do not hold.
    """

    number: int
    kind: TrialKind
    system: str | None
    asked: dict[str, Any]
    rejected: dict[str, Any] | None = None
    told: dict[str, Any] | None = None
    launches: dict[int, LaunchRecord] = field(default_factory=dict)
    reused: dict[int, RunKey] = field(default_factory=dict)
    earlier: list[Question] = field(default_factory=list)
    paused: dict[int, int] = field(default_factory=dict)
    branched: dict[int, list[int]] = field(default_factory=dict)
    rungs: list[dict[str, Any]] = field(default_factory=list)
    promoted: int = 0
    confirming: list[int] = field(default_factory=list)

    @property
    def seeds(self) -> list[int]:
        return list(self.asked["seeds"])

    @property
    def indices(self) -> list[int]:
        """The seed indices of all its runs: those of the search, and those that confirm."""
        return [*self.seeds, *self.confirming]

    @property
    def open(self) -> bool:
        """Whether it still waits for runs."""
        return self.told is None and self.rejected is None

    @property
    def failed(self) -> bool:
        """Whether it was given up: one of its runs failed for good."""
        return self.told is not None and self.told["state"] == "FAIL"

    def done(self, index: int) -> bool:
        """Whether the run of a seed has its result, its own or an equal run's."""
        launch = self.launches.get(index)
        return index in self.reused or (launch is not None and launch.outcome in ENDED)

    @property
    def rung_steps(self) -> list[int]:
        """The steps of its rungs; none for one that runs to the end undisturbed."""
        return list(self.asked.get("rungs") or ())

    @property
    def pause_at(self) -> int | None:
        """The step of the next rung; None where only the end is left."""
        steps = self.rung_steps
        return steps[self.promoted] if self.promoted < len(steps) else None

    @property
    def waits(self) -> bool:
        """Whether it was judged at a rung and nothing is decided yet."""
        return self.open and len(self.rungs) > self.promoted

    def source(self, index: int) -> RunKey:
        """The run whose events count for a seed: its own, or the equal one it reuses."""
        return self.reused.get(index, (self.number, index))

    def questions(self) -> list[Question]:
        """What a sampler's study knows of it, oldest first; nothing for a configuration that no sampler gave."""
        return [*self.earlier, self._question()] if self.asked["sampler_study"] is not None else []

    def _question(self) -> Question:
        values = {rung["step"]: rung["values"][0] for rung in self.rungs if len(rung["values"]) == 1}
        return Question(self.asked["number"], self.asked["params"], self.asked["distributions"], self.told, values)

    def retry(self, number: int | None) -> None:
        """Forget the failures; the question goes on under a sampler's new number, where it has one."""
        self.earlier = [*self.earlier, self._question()]
        self.asked, self.told = {**self.asked, "number": number}, None
        self.launch_again(self.launches)

    def launch_again(self, indices: Iterable[int]) -> None:
        """Forget the failures of these seeds' runs."""
        for launch in (self.launches[index] for index in indices):
            launch.failures, launch.seconds = 0, 0.0
            if launch.outcome not in ENDED:
                launch.code, launch.outcome = None, "stopped"


def apply_to_trial(trial: TrialRecord, event: dict[str, Any]) -> None:
    """Take one more record of a trial into its fold."""
    kind = event["event"]
    if kind == "rejected":
        trial.rejected = event
    elif kind == "told":
        trial.told = event
    elif kind == "reseeded":
        trial.asked, trial.told = {**trial.asked, "seeds": event["seeds"]}, None
    elif kind == "retried" and "seeds" in event:
        trial.launch_again(event["seeds"])
    elif kind == "retried":
        trial.retry(event["number"])
    elif kind == "reused":
        trial.reused[event["seed_index"]] = (event["from"]["trial"], event["from"]["seed_index"])
    elif kind == "rung":
        trial.rungs.append(event)
    elif kind == "confirming":
        trial.confirming = list(event["seeds"])
    elif kind == "promoted":
        trial.promoted = event["rung"] + 1
    elif kind in ("launching", "launched", "exited"):
        launch = trial.launches.setdefault(event["seed_index"], LaunchRecord())
        _launch(launch, event)
        if launch.outcome == "paused" and launch.until is not None:
            trial.paused[event["seed_index"]] = launch.until
        if launch.outcome == "branched" and launch.branch is not None:
            trial.branched.setdefault(event["seed_index"], []).append(launch.branch)


def _launch(launch: LaunchRecord, event: Mapping[str, Any]) -> None:
    if event["event"] in ("launching", "launched"):
        launch.launches = event["launch"]
        launch.pid, launch.process_started = event.get("pid"), event.get("process_started")
        launch.host, launch.slot = event.get("host"), event["slot"]
        launch.until, launch.branch = event.get("until"), event.get("branch")
        launch.launcher, launch.name, launch.job = event.get("launcher", "local"), event.get("name"), event.get("job")
        launch.attempt, launch.log_size = event.get("attempt", 0), event.get("log_size", 0)
        launch.since = launch.process_started or event["time"]
        launch.code = launch.outcome = launch.reason = None
        launch.lines = ()
    else:
        launch.code, launch.outcome, launch.reason = event.get("code"), event["outcome"], event.get("reason")
        launch.lines = tuple(event.get("lines") or ())
        launch.seconds += event.get("seconds") or 0.0
        launch.failures += event["outcome"] in FAILURES
