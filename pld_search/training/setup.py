"""The constant part of a run: the experiment, its opened data, its plan and its rates. Opening it raises the errors of
all inputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from pld_search.costs.flops import FlopsAt, run_flops
from pld_search.costs.objectives import costs_of
from pld_search.data.packed_corpus import Corpus
from pld_search.data.tasks import TaskData
from pld_search.errors import ConfigError, DataError, Problem
from pld_search.pretraining.batch_tensors import Examples, GroupedBatch, cut, own_numbers
from pld_search.pretraining.objective import PretrainingObjective, StepBatches
from pld_search.pretraining.registry import objective_of
from pld_search.schedules.hash_words import key_of
from pld_search.schedules.plan import Plan
from pld_search.schedules.rising_stages import StagesAt
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment, Precision, Task
from pld_search.training import precision
from pld_search.training.calendar import Calendar, calendar
from pld_search.training.device import open_device
from pld_search.training.device_clock import Clock
from pld_search.training.learning_rate import Rate, learning_rate
from pld_search.training.parallel.batch_division import check_ranks
from pld_search.training.parallel.rank_group import ALONE, Ranks

_COMPILED_SHAPES = 3


@dataclass(frozen=True, slots=True)
class Fit:
    """`size`: the sequences of one forward. `by`: how the size was found; with `auto` the forecast and the free bytes
    are added.
    """

    size: int
    by: Literal["stated", "recorded", "out_of_memory", "forecast", "trial"] = "stated"
    needed_bytes: int | None = None
    free_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """A run before its first step. `sizes` are the sequences of each step; `second_plan` is the plan of a second
    network with its own schedule (ELECTRA's generator). `rate` and `precision` are the experiment's until a recovery
    changes them (recovery.py).

    `fit` is None until the micro-batch is chosen (micro_batch.py): such a setup can evaluate, but not train.
    `mask_fault` says why dropout of compiled blocks is drawn by eager kernels (compiled_dropout.py); None: it is not.
    """

    experiment: Experiment
    execution: Execution
    device: torch.device
    clock: Clock
    corpus: Corpus
    objective: PretrainingObjective
    batches: StepBatches
    plan: Plan
    rate: Rate
    sizes: StagesAt
    precision: Precision
    flops: FlopsAt
    calendar: Calendar
    ranks: Ranks = ALONE
    second_plan: Plan | None = None
    fit: Fit | None = None
    mask_fault: str | None = None

    @property
    def part(self) -> int:
        """The number of sequences of a group that each rank reads at the end of the run, which is the largest."""
        return self.experiment.batch.per_group // self.ranks.world

    def group_size(self, step: int) -> int:
        """Returns the number of sequences of a group at a step."""
        return self.sizes.before(step) // self.experiment.batch.groups

    def batch_at(self, step: int) -> GroupedBatch:
        """Returns this rank's part of the global batch of a step, cut and on the host (pinned for CUDA). Counts only
        the targets of the other parts.
        """
        assert self.fit is not None
        groups, ranks = self.experiment.batch.groups, self.ranks
        own = self.batches.at(step, own_numbers(self.sizes.before(step), groups, ranks.rank, ranks.world))
        totals = own.counts if ranks.world == 1 else self.batches.counts(step)
        return cut(
            own,
            groups,
            self.fit.size,
            totals=totals,
            pin=self.device.type == "cuda",
            begins=ranks.rank * (self.group_size(step) // ranks.world),
        )

    def held_out(self, split: str, sequences: int | None = None) -> Iterator[Examples]:
        """Returns the sequences of `validation` or `test` that evaluate a run; `sequences` None: as many as during the
        run.
        """
        sequences = sequences or self.experiment.validation.sequences
        return self.objective.held_out(self.corpus, self.experiment.data, split, sequences)

    def task_data(self, task: Task) -> TaskData:
        """Opens the prepared folder of a task. Raises DataError if it is missing or incomplete."""
        return TaskData(place_of(self.execution, task.digest, f"task {task.suite}/{task.name}"))


def open_setup(experiment: Experiment, execution: Execution, ranks: Ranks = ALONE) -> Setup:
    """Opens everything a run needs. Raises ConfigError or DataError for inputs that are missing, damaged or do not fit
    together.
    """
    _check(experiment, execution, ranks.world)
    device = open_device(execution, ranks.local if ranks.world > 1 else None)
    precision.check(experiment.precision, device)
    corpus, objective = _open_corpus(experiment, execution), objective_of(experiment.pretraining)
    shapes = experiment.model, experiment.data, experiment.batch
    setup = Setup(
        experiment=experiment,
        execution=execution,
        device=device,
        clock=Clock(device),
        corpus=corpus,
        objective=objective,
        batches=objective.batches(corpus, experiment.data, experiment.batch, experiment.seed, experiment.steps),
        plan=_plan(experiment),
        rate=learning_rate(experiment.optimizer, experiment.steps),
        sizes=experiment.batch.sizes_at(experiment.steps),
        precision=experiment.precision,
        flops=run_flops(*shapes, experiment.steps, experiment.pretraining),
        calendar=calendar(experiment, execution),
        ranks=ranks,
        second_plan=_second_plan(experiment),
        fit=_stated(experiment, execution, ranks),
    )
    objective.check_held_out(corpus, experiment.data)
    for task in experiment.evaluation.tasks:
        if setup.task_data(task).task != task:
            raise DataError(f"task {task.suite}/{task.name}: its folder holds another task or another version of it")
    return setup


def _stated(experiment: Experiment, execution: Execution, ranks: Ranks) -> Fit | None:
    part, stated = experiment.batch.per_group // ranks.world, execution.micro_batch
    return None if stated == "auto" else Fit(min(stated or part, part))


def place_of(execution: Execution, digest: str, what: str) -> Path:
    """Returns the folder of a content digest. Raises ConfigError if the execution names none."""
    if digest not in execution.folders:
        raise ConfigError(Problem(f"the execution names no folder for {what}", ("folders",), given=digest))
    return Path(execution.folders[digest])


def _plan(experiment: Experiment) -> Plan:
    steps, groups = experiment.steps, experiment.batch.groups
    sizes = experiment.batch.group_sizes_at(steps)
    return Plan(experiment.schedule, experiment.seed, steps, experiment.layers_at, groups, sizes)


def _second_plan(experiment: Experiment) -> Plan | None:
    """Returns the plan of a second network with its own schedule, drawn from its own hash words; None without one."""
    second = costs_of(experiment.pretraining).second_stack(experiment.model)
    if second is None:
        return None
    steps, batch = experiment.steps, experiment.batch
    key = key_of(experiment.seed, "second network")[0]
    return Plan(second[0], key, steps, second[1], batch.groups, batch.group_sizes_at(steps))


def _check(experiment: Experiment, execution: Execution, world: int) -> None:
    problems = check_ranks(experiment, execution, world)
    misfit = experiment.schedule.misfit(experiment.steps)
    if misfit is not None:
        problems.append(Problem(misfit, ("schedule", "run")))
    problems += _graphs(experiment, execution) if execution.compile else []
    model, evaluation = experiment.model, experiment.evaluation
    if evaluation.tasks and model.positions == "learned" and evaluation.length > model.max_length:
        rule = "fine-tuning inputs are longer than the table of learned positions"
        problems.append(
            Problem(rule, ("evaluation", "length"), allowed=f"at most {model.max_length}", given=str(evaluation.length))
        )
    if problems:
        raise ConfigError(problems)


def _graphs(experiment: Experiment, execution: Execution) -> list[Problem]:
    """Returns the problem of too many shapes to compile. Each shape of a forward pass (length, sequences) has two
    graphs for training, and the last one has two more for validation; torch keeps 8 graphs per block and runs further
    ones uncompiled without a message. A first layer without a norm has graphs of its own.
    """
    steps, batch, micro = experiment.steps, experiment.batch, execution.micro_batch
    lengths, sizes = experiment.data.lengths_at(steps), batch.sizes_at(steps)
    parts = [size // batch.groups for size in sizes.sizes]
    forwards = [min(part, micro) if isinstance(micro, int) else part for part in parts]
    shapes = {
        (lengths.before(begin), forwards[sizes.number(begin)]) for begin in sorted({*lengths.begins, *sizes.begins})
    }
    most = _COMPILED_SHAPES if experiment.model.first_norm is None else 1
    if len(shapes) <= most:
        return []
    grown = len({length for length, _ in shapes}) < len(shapes)
    what, one = ("batch sizes", "batch size") if grown else ("lengths", "length")
    rule = f"too many {what} to compile: each has graphs of its own, and torch keeps 8 of a block"
    if most == 1:
        rule += "; so has a first layer without a norm (`first_norm: false`)"
    given = ", ".join(f"{size} x {length}" if grown else str(length) for length, size in sorted(shapes))
    path = ("batch", "sequences") if grown else ("data", "length")
    return [Problem(rule, path, allowed=f"{most} {one if most == 1 else what} with compile: true", given=given)]


def _open_corpus(experiment: Experiment, execution: Execution) -> Corpus:
    corpus = Corpus(place_of(execution, experiment.data.corpus, "the corpus"))
    for name, stated, found in (
        ("corpus", experiment.data.corpus, corpus.digest),
        ("tokenizer", experiment.data.tokenizer, corpus.tokenizer_digest),
        ("vocabulary", experiment.model.vocabulary, corpus.vocabulary),
    ):
        if stated != found:
            raise DataError(f"{corpus.folder}: its {name} is {found}, the experiment's is {stated}")
    return corpus
