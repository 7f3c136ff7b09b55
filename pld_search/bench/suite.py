"""All measurements of `pld-search bench` for one shape, as one value that can be stored."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pld_search.bench.candidates import Candidate
from pld_search.bench.figures import Figure, FigureRow, figure
from pld_search.bench.in_turns import Tell, compare
from pld_search.bench.synthetic_corpus import synthetic_corpus
from pld_search.bench.timed_job import TimedJob
from pld_search.bench.timed_shapes import SHAPES, STEPS, Case
from pld_search.frozen import Spec
from pld_search.specs.execution import ActivationCheckpointing, Execution, MicroBatch
from pld_search.specs.experiment import Precision
from pld_search.training.device import compute_settings
from pld_search.training.matrix_rate import matrix_rate
from pld_search.training.micro_batch import fitted
from pld_search.training.provenance import provenance
from pld_search.training.setup import Setup, open_setup

FULL = "pld-search, full depth"
TRAINER = "transformers Trainer"
COMPILED = ", compiled"


class BenchRequest(Spec):
    """The request for a benchmark. micro_batch: None: a step is one forward. activation_checkpointing: settings that
    are timed in addition to none.
    """

    shape: str
    length: int
    precision: Precision
    device: str
    threads: int | None
    schedules: tuple[str, ...]
    trainer: bool
    compile: tuple[bool, ...]
    sequences: int | None
    micro_batch: MicroBatch | None
    activation_checkpointing: tuple[ActivationCheckpointing, ...] = ()
    deterministic: bool
    dropout: float
    rounds: int
    burst: int
    loss_steps: int


class Result(Spec):
    """The measurements. loss_difference: the largest difference in nats over `loss_steps` steps without dropout; None
    when nothing was compared.
    """

    request: BenchRequest
    sequences: int
    rows: tuple[FigureRow, ...]
    matrix_rate: float
    pipeline: Figure
    loss_difference: float | None
    provenance: dict[str, Any]

    def mfu(self, row: FigureRow) -> float:
        """Returns executed FLOPs a second divided by the device's rate for matrix products alone."""
        return row.flops_per_second / self.matrix_rate


def measure(request: BenchRequest, cache: Path, tell: Tell) -> Result:
    """Runs the whole benchmark. Raises BenchError."""
    corpus = synthetic_corpus(cache, SHAPES[request.shape].vocabulary)
    sequences = request.sequences or SHAPES[request.shape].sequences(request.length, request.device.partition(":")[0])
    case = Case(
        shape=request.shape,
        length=request.length,
        sequences=sequences,
        precision=request.precision,
        dropout=request.dropout,
        corpus=corpus.digest,
        tokenizer=corpus.tokenizer_digest,
        vocabulary=corpus.vocabulary,
    )
    execution = Execution(
        device=request.device,
        threads=request.threads,
        micro_batch=request.micro_batch,
        deterministic=request.deterministic,
        folders={corpus.digest: str(corpus.folder)},
    )
    setup = fitted(open_setup(case.experiment("full"), execution))
    with compute_settings(execution, setup.device):
        rate = matrix_rate(setup.device, request.precision)
        pipeline = input_rate(setup, rounds=5, steps=20)
        origin = provenance(setup.device)
    jobs = _jobs(request, case, execution)
    apart = _same_losses(request, case, execution, tell)
    rows, _ = compare(
        jobs, _baselines(jobs), rounds=request.rounds, burst=request.burst, tokens=sequences * request.length, tell=tell
    )
    with compute_settings(execution, setup.device):
        rate = max(rate, matrix_rate(setup.device, request.precision))
    return Result(
        request=request,
        sequences=sequences,
        rows=tuple(rows),
        matrix_rate=rate,
        pipeline=pipeline,
        loss_difference=apart,
        provenance=origin,
    )


def _jobs(request: BenchRequest, case: Case, execution: Execution) -> dict[str, TimedJob]:
    """Returns the jobs: full depth, the schedules from the middle of their run, and the Trainer; each eager, compiled
    or both; the package's own jobs also with recomputed blocks.
    """
    jobs = {}
    for compiled in request.compile:
        how, word = execution.model_copy(update={"compile": compiled}), COMPILED if compiled else ""
        for again in ("none", *request.activation_checkpointing):
            way, words = how.model_copy(update={"activation_checkpointing": again}), _recomputed(again) + word
            jobs[FULL + words] = TimedJob(engine="pld-search", experiment=case.experiment("full"), execution=way)
            for schedule in request.schedules:
                jobs[f"pld-search, {schedule}{words}"] = TimedJob(
                    engine="pld-search", experiment=case.experiment(schedule), execution=way, start=STEPS // 2
                )
        if request.trainer:
            jobs[TRAINER + word] = TimedJob(engine="trainer", experiment=case.experiment("full"), execution=how)
    return jobs


def _recomputed(again: ActivationCheckpointing) -> str:
    if isinstance(again, str):
        return "" if again == "none" else ", recomputed"
    return f", recomputed 1 in {again}"


def _baselines(names: Sequence[str] | Mapping[str, TimedJob]) -> dict[str, str]:
    """Returns the baseline of each job: full depth of the same kind, eager or compiled, without recomputation."""
    return {
        name: FULL + (COMPILED if name.endswith(COMPILED) else "")
        for name in names
        if name not in (FULL, FULL + COMPILED)
    }


def _same_losses(request: BenchRequest, case: Case, execution: Execution, tell: Tell) -> float | None:
    if not request.trainer or not request.loss_steps:
        return None
    tell(f"comparing the losses of {request.loss_steps} steps")
    without = Case(
        **{name: getattr(case, name) for name in case.__slots__ if name != "dropout"}, dropout=0.0
    ).experiment("full")
    engines: dict[str, TimedJob] = {
        "pld-search": TimedJob(engine="pld-search", experiment=without, execution=execution),
        TRAINER: TimedJob(engine="trainer", experiment=without, execution=execution),
    }
    return largest_difference(engines, request.loss_steps)


def input_rate(setup: Setup, *, rounds: int, steps: int) -> Figure:
    """Returns the tokens a second that one thread draws, masks and cuts as a run reads them, from `rounds` samples of
    `steps` steps.
    """
    tokens = setup.experiment.batch.most * setup.experiment.data.final_length
    setup.batch_at(0)
    rates = []
    for number in range(rounds):
        begun = time.perf_counter()
        for step in range(number * steps, (number + 1) * steps):
            setup.batch_at(step)
        rates.append(tokens * steps / (time.perf_counter() - begun))
    return figure(rates)


def largest_difference(jobs: Mapping[str, TimedJob], steps: int) -> float:
    """Returns the largest difference in the loss of a step between any two jobs, in nats, from the same weights and on
    the same batches.
    """
    losses: list[tuple[float, ...]] = []
    for name, job in jobs.items():
        with Candidate(name, job) as candidate:
            losses.append(candidate.burst(steps).losses)
    largest: float = max(max(of_step) - min(of_step) for of_step in zip(*losses, strict=True))
    return largest
