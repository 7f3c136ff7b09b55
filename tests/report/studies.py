"""Studies written by hand, as the coordinator and the runs would leave them: the report's only input."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pld_search.costs.budget import steps_within
from pld_search.costs.flops import step_flops
from pld_search.costs.run_cost import forecast
from pld_search.frozen import digest_of
from pld_search.records.events import (
    HeldOutLosses,
    RunDiverged,
    RunEvaluated,
    RunFinished,
    RunProgress,
    RunStarted,
    RunStopped,
    RunValidated,
    TaskScored,
)
from pld_search.records.run_record import RunWriter
from pld_search.records.study_events import (
    RunExited,
    RunLaunched,
    StudyCompleted,
    StudyCreated,
    StudyPrepared,
    SystemChosen,
    TrialAsked,
    TrialRejected,
    TrialTold,
)
from pld_search.records.study_record import StudyWriter, trial_folder
from pld_search.records.trial_record import CONFIRMATION
from pld_search.schedules.schedule import Schedule
from pld_search.specs.experiment import Batch, Data, Experiment, Model, Optimizer

CORPUS = {
    "documents": 249,
    "tokens": {"train": 1_000_000, "validation": 50_000, "test": 50_000},
    "unigram_entropy": 6.0,
}
STEPS = 400


def schedule(name: str, end: float = 0.5, kind: str = "exponential", depth: str = "linear") -> Schedule:
    temporal: dict[str, Any] = (
        {"kind": kind, "start": 1.0, "end": end, "rate": "100 / run"}
        if kind == "exponential"
        else {"kind": "constant", "value": end}
    )
    shape = {"kind": "linear", "index": "l/L"} if depth == "linear" else {"kind": "uniform"}
    return Schedule.model_validate(
        {
            "name": name,
            "temporal": temporal,
            "depth": shape,
            "draw": {"kind": "bernoulli", "per": "group", "unit": "layer"},
            "rescale": "none" if end == 1 else "sublayer",
            "skipped": "freeze",
        }
    )


FULL = schedule("full", 1.0, "constant", "uniform")
PLD = schedule("pld")


def experiment(drops: Schedule, steps: int = STEPS, layers: int = 6) -> Experiment:
    return Experiment(
        model=Model(layers=layers, hidden=96, heads=4, intermediate=384, vocabulary=1024, positions="alibi"),
        data=Data(corpus=digest_of("corpus"), tokenizer=digest_of("tokenizer"), length=32),
        batch=Batch(sequences=64),
        optimizer=Optimizer(lr=3e-3, warmup="10 %"),
        precision="fp32",
        schedule=drops,
        steps=steps,
    )


def equal_steps(what: Experiment) -> Experiment:
    """The same at the steps the full-depth reference's FLOPs buy."""
    limit = tflop(experiment(FULL)) * 1e12
    return what.model_copy(
        update={"steps": steps_within(limit, lambda _: what.schedule, what.model, what.data, what.batch)}
    )


def tflop(what: Experiment, saved: float = 0.0) -> float:
    """What a run executes: full depth less a share of the blocks."""
    flops = step_flops(what.model, what.data, what.batch)
    return (flops.block * what.model.layers * (1 - saved) + flops.head + flops.rest) * what.steps / 1e12


def ticking() -> Iterator[float]:
    return itertools.count(1_700_000_000.0, 1.0)


class Folder:
    """A study's folder in the making."""

    def __init__(
        self,
        path: Path,
        trees: Mapping[str, Any] | None = None,
        tasks: list[dict[str, Any]] | None = None,
        **definition: Any,
    ) -> None:
        self.path = path
        clock = ticking()
        self.study = StudyWriter(path / "study.jsonl", clock=lambda: next(clock))
        written = {
            "name": path.name,
            "systems": [],
            "reference": None,
            "budget": {"steps": STEPS, "equal": "flops"},
            **definition,
        }
        written["systems"] = [
            {"name": name, "changes": {}, "tree": (trees or {}).get(name, {})} for name in written["systems"]
        ]
        self.study.write(
            StudyCreated(
                id="0123456789abcdef",
                name=written["name"],
                definition=written,
                identity={"template": digest_of("template")},
            )
        )
        self.study.write(StudyPrepared(corpus=CORPUS, folders={}, tasks=tasks or []))
        self._numbers = itertools.count()
        self._systems: dict[int, list[float]] = {}

    def ask(self, what: Experiment, system: str | None, seeds: Sequence[int] = (0,), **fields: Any) -> int:
        number = next(self._numbers)
        given = {
            "kind": "system" if system else "sampled",
            "params": {},
            "distributions": {},
            "sampler_study": None,
            "number": number,
            "forecast": {},
            "experiment": what.model_dump(mode="json"),
        } | fields
        self.study.write(
            TrialAsked(
                trial=number,
                system=system,
                digest=what.digest,
                steps=what.steps,
                schedule=what.schedule.name,
                seeds=list(seeds),
                **given,
            )
        )
        if given["kind"] == "system":
            self._systems[number] = []
        return number

    def run(
        self,
        trial: int,
        what: Experiment,
        loss: float,
        seed: int = 0,
        saved: float | None = None,
        end: str = "finished",
        losses: HeldOutLosses | None = None,
        tasks: Sequence[TaskScored] = (),
        **metrics: float,
    ) -> None:
        """One run with a validation curve that falls from 6.9 to `loss`; `metrics` use `__` for `/`."""
        clock = ticking()
        if trial in self._systems and seed < CONFIRMATION:
            self._systems[trial].append(loss if end == "finished" else math.inf)
        if saved is None:
            saved = forecast(what.schedule, what.model, what.data, what.batch, what.steps).saved_block_flops
        writer = RunWriter(trial_folder(self.path, trial, seed) / "events.jsonl", clock=lambda: next(clock))
        self.study.write(
            RunLaunched(trial=trial, seed_index=seed, launch=1, pid=1, process_started=0.0, slot=0, command=[])
        )
        recorded = what.model_dump(mode="json")
        provenance = {"versions": {"torch": "2.13.0"}, "commit": "abc123"}
        writer.emit(
            RunStarted(
                0,
                experiment=recorded,
                seed=seed,
                digest=what.digest,
                execution={"device": "cpu", "threads": 1},
                provenance=provenance,
                corpus=CORPUS,
            )
        )
        total = tflop(what, saved)
        reached = what.steps if end == "finished" else what.steps // 2
        for tenth in range(1, 11):
            step = what.steps * tenth // 10
            if step > reached:
                break
            writer.emit(
                RunProgress(
                    step,
                    metrics={"progress/tflop": total * tenth / 10, "train/loss": loss},
                    timing={"progress/seconds": 4.0 * tenth},
                )
            )
            writer.emit(RunValidated(step, metrics={"valid/loss": loss + (6.9 - loss) * (1 - tenth / 10) ** 2}))
        for event in (*([losses] if losses is not None else []), *tasks):
            writer.emit(event)
        self._end(
            writer,
            reached,
            loss,
            saved,
            total * reached / what.steps,
            end,
            {key.replace("__", "/"): value for key, value in metrics.items()},
        )
        writer.close()
        self.study.write(RunExited(trial=trial, seed_index=seed, launch=1, code=0, outcome=end, reason=None))

    def _end(
        self,
        writer: RunWriter,
        step: int,
        loss: float,
        saved: float,
        total: float,
        end: str,
        metrics: Mapping[str, float],
    ) -> None:
        if end == "finished":
            writer.emit(RunEvaluated(step, metrics={"test/loss": loss + 0.05, **metrics}))
            writer.emit(
                RunFinished(
                    step,
                    metrics={
                        "saved/block_flops": saved,
                        "saved/flops": saved * 0.8,
                        "divergence/diverged": 0.0,
                        "progress/tflop": total,
                    },
                    timing={
                        "speed/tokens_per_second": 20000.0 * (1 + saved),
                        "speed/relative": 1 / (1 - saved * 0.8),
                        "progress/seconds": 41.5,
                    },
                )
            )
        elif end == "diverged":
            writer.emit(
                RunDiverged(
                    step,
                    reason="loss is not finite",
                    first_bad_step=step - 3,
                    metrics={"divergence/diverged": 1.0, "divergence/first_bad_step": step - 3.0},
                )
            )
        elif end == "stopped":
            writer.emit(RunStopped(step, reason="SIGTERM"))

    def tell(self, trial: int, value: float, state: str = "COMPLETE", constraints: Sequence[float] = ()) -> None:
        named = {f"constraint {index}": each for index, each in enumerate(constraints)}
        self.study.write(TrialTold(trial=trial, state=state, values=[value], constraints=named))

    def complete(self) -> Path:
        """Tell every system that was not told, as a coordinator does once its seeds have ended, and end the study."""
        for trial, losses in self._systems.items():
            if losses and math.isfinite(sum(losses)):
                self.tell(trial, sum(losses) / len(losses))
            elif losses:
                self.tell(trial, math.log(1024), constraints=[1.0])
        self.study.write(StudyCompleted())
        self.study.close()
        return self.path


def demo_like(path: Path) -> Path:
    """Full depth twice, PLD, a shallow model, a random one that diverged, a tuned system, and three sampled trials of
    which one was rejected.
    """
    systems = ["full", "pld", "shallow", "random", "tuned"]
    study = Folder(
        path, systems=systems, reference="full", search={"objective": {"minimize": "valid/loss"}, "trials": 3}
    )
    full, pld = experiment(FULL), equal_steps(experiment(PLD))
    shallow, random = (
        equal_steps(experiment(FULL, layers=4)),
        equal_steps(experiment(schedule("random", 0.73, "constant", "uniform"))),
    )
    a = study.ask(full, "full", seeds=(0, 1))
    study.run(a, full, 5.44, 0, demo__period__accuracy=0.61, demo__average=0.60)
    study.run(a, full, 5.46, 1, demo__period__accuracy=0.63, demo__average=0.61)
    b = study.ask(pld, "pld")
    study.run(b, pld, 5.39, demo__period__accuracy=0.66, demo__average=0.63)
    c = study.ask(shallow, "shallow")
    study.run(c, shallow, 5.75, demo__period__accuracy=0.55, demo__average=0.5)
    d = study.ask(random, "random")
    study.run(d, random, 5.5, end="diverged")
    _tuned(study)
    _sampled(study)
    return study.complete()


def _tuned(study: Folder) -> None:
    first = -1
    for value in (5.52, 5.43):
        what = equal_steps(experiment(schedule("pld", 0.6)))
        trial = study.ask(what, "tuned", kind="tuning", params={"optimizer.lr": value / 1000})
        study.run(trial, what, value, demo__average=0.62)
        study.tell(trial, value)
        first = trial if value == 5.43 else first
    study.study.write(SystemChosen(system="tuned", trial=first, spent=2))


def _sampled(study: Folder) -> None:
    for end, value in ((0.4, 5.42), (0.8, 5.38)):
        what = equal_steps(experiment(schedule("falling", end)))
        trial = study.ask(what, None, params={"schedule": "falling", "schedule.falling.temporal.end": end})
        study.run(trial, what, value, demo__average=0.6)
        study.tell(trial, value)
    rejected = study.ask(
        experiment(schedule("falling", 0.1)), None, params={"schedule": "falling", "schedule.falling.temporal.end": 0.1}
    )
    study.study.write(
        TrialRejected(
            trial=rejected, reason="forecast/expected_layers_end is 2.1", constraint="forecast/expected_layers_end >= 3"
        )
    )
    study.tell(rejected, 0.0, state="PRUNED", constraints=[0.9])
