"""The evaluation of a pre-trained model: the test loss, and fine-tuning on every task of the experiment.

Every (task, repeat) has a folder with its own events. A finished repeat is never run again, an interrupted one starts
again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from pld_search.data.task_metrics import average
from pld_search.errors import CheckpointError
from pld_search.host.signals import StopRequest
from pld_search.model.build_model import load_bert
from pld_search.model.layered_model import LayeredModel
from pld_search.records.events import HeldOutLosses, RunFinished, RunResumed, RunStarted, TaskScored
from pld_search.records.run_record import RunWriter, fold_run
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Evaluation, Experiment, Task
from pld_search.training.device import compute_settings
from pld_search.training.finetune import Finetuning, Scores
from pld_search.training.held_out_losses import final_losses, held_out_loss, held_out_metrics
from pld_search.training.precision import Numerics
from pld_search.training.setup import Setup, open_setup

FineTuned = tuple[Scores, bool | None, float | None]
"""Scores, whether the predictions are constant, and the accuracy of the majority class (None for a regression)."""
_CONSTANT, _MAJORITY = "fine_tuning/constant", "fine_tuning/majority"


def evaluate_checkpoint(experiment: Experiment, execution: Execution, checkpoint: Path, out: Path) -> dict[str, float]:
    """Evaluates the weights in a checkpoint's folder as the experiment states; fine-tuning writes to `out`/tasks.

    Returns `valid/loss`, `test/loss` and every score by name. Raises ConfigError, DataError, CheckpointError,
    Interrupted.
    """
    setup = open_setup(experiment, execution)
    with compute_settings(execution, setup.device), StopRequest() as stop:
        model = pretrained_model(setup, checkpoint)
        losses = held_out_losses(setup, model, ("validation", "test"))
        return {**losses, **finetune_all(setup, model, out, stop)}


def pretrained_model(setup: Setup, checkpoint: Path) -> LayeredModel:
    """Returns the model in a checkpoint's folder, on the run's device. Raises CheckpointError if its vocabulary has
    another size.
    """
    model: LayeredModel = load_bert(checkpoint, model_class=setup.objective.model_class)
    vocabulary = setup.experiment.model.vocabulary
    if model.config.vocab_size != vocabulary:
        rows = model.config.vocab_size
        raise CheckpointError(f"{checkpoint}: a model of {rows} tokens, the experiment's tokenizer has {vocabulary}")
    return model.to(setup.device)


def held_out_losses(
    setup: Setup, model: LayeredModel, splits: tuple[str, ...], log: RunWriter | None = None
) -> dict[str, float]:
    """Returns `valid/loss` and `test/loss` for the given splits, and the objective's other metrics of these splits,
    without values that are not finite.

    Reads as many sequences as at the end of a run. `log`: the run's own; it gets the losses by documents.
    """
    prefixes, numerics = {"validation": "valid", "test": "test"}, Numerics(setup.precision, setup.device)
    losses = {
        f"{prefixes[split]}/{name}": value
        for split in splits
        for name, value in _at_the_end(setup, model, numerics, split, log).items()
    }
    return {name: loss for name, loss in losses.items() if math.isfinite(loss)}


def _at_the_end(
    setup: Setup, model: LayeredModel, numerics: Numerics, split: str, log: RunWriter | None
) -> dict[str, float]:
    sequences = setup.experiment.validation.final
    if sequences is None:
        return held_out_metrics(setup, model, numerics, split)
    found = final_losses(setup, model, numerics, split, sequences)
    if log is not None and found.documents and np.isfinite(found.sums).all():
        step = setup.experiment.steps
        log.emit(HeldOutLosses.of_arrays(step, split, found.documents, found.sums, found.counts))
    return found.metrics


def validation_losses(experiment: Experiment, execution: Execution, models: Sequence[LayeredModel]) -> list[float]:
    """Returns `valid/loss` of several networks on one run's validation text, in fp32: on the execution's GPU if this
    machine has it, else on the CPU.

    Raises ConfigError or DataError if the text cannot be read.
    """
    device = execution.device if torch.cuda.is_available() else "cpu"
    what = experiment.model_copy(update={"evaluation": Evaluation(), "precision": "fp32"})
    setup = open_setup(what, execution.model_copy(update={"device": device}))
    numerics = Numerics("fp32", setup.device)
    with compute_settings(execution, setup.device):
        return [held_out_loss(setup, model.to(setup.device), numerics, "validation") for model in models]


def finetune_all(
    setup: Setup, pretrained: LayeredModel, out: Path, stop: StopRequest, log: RunWriter | None = None
) -> dict[str, float]:
    """Fine-tunes every task with every rate and repeat. Returns `<suite>/<task>/<metric>`, the mean over repeats, and
    `<suite>/average`, the mean over tasks. Of several rates, the rate with the highest mean of the task's metrics
    counts.

    One rank runs a whole fine-tuning, and the ranks take turns. `log`: the run's own; it gets a `task` event for every
    repeat.
    """
    experiment, ranks = setup.experiment, setup.ranks
    evaluation = experiment.evaluation
    count = evaluation.seeds * len(evaluation.rates)
    jobs = [(task, number) for task in evaluation.tasks for number in range(count)]

    def tell(job: int, found: FineTuned) -> None:
        if log is None:
            return
        task, number = jobs[job]
        rate, repeat = evaluation.rate_and_repeat(number)
        several = rate if len(evaluation.rates) > 1 else None
        scores, constant, majority = found
        event = TaskScored(experiment.steps, suite=task.suite, task=task.name, seed=repeat, scores=scores)
        log.emit(replace(event, lr=several, constant=constant, majority=majority))

    def own_jobs() -> dict[int, FineTuned]:
        done = {}
        for job in range(ranks.rank, len(jobs), ranks.world):
            done[job] = finetune_once(setup, jobs[job][0], pretrained, jobs[job][1], out, stop)
            tell(job, done[job])
        return done

    scores = {job: found for of_rank in ranks.gathered(ranks.each(own_jobs)) for job, found in of_rank.items()}
    for job in sorted(scores):
        if job % ranks.world != ranks.rank:
            tell(job, scores[job])
    means: dict[str, dict[str, Scores]] = {}
    for task in evaluation.tasks:
        found = [scores[job][0] for job, (of_task, _) in enumerate(jobs) if of_task == task]
        rates = [_means(found[begin : begin + evaluation.seeds]) for begin in range(0, count, evaluation.seeds)]
        means.setdefault(task.suite, {})[task.name] = max(rates, key=lambda each: float(np.mean(list(each.values()))))
    return named(means)


def _means(repeats: Sequence[Scores]) -> Scores:
    return {name: float(np.mean([each[name] for each in repeats])) for name in repeats[0]}


def named(means: dict[str, dict[str, Scores]]) -> dict[str, float]:
    """Turns suite -> task -> metric into metrics by name, and adds the average of every suite."""
    metrics: dict[str, float] = {}
    for suite, tasks in means.items():
        metrics.update(
            {f"{suite}/{task}/{name}": value for task, scores in tasks.items() for name, value in scores.items()}
        )
        metrics[f"{suite}/average"] = average(tasks)
    return metrics


def task_folder(out: Path, task: Task, repeat: int) -> Path:
    """Returns the folder for the events of one fine-tuning of a task, below the run."""
    return out / "tasks" / f"{task.suite}-{task.name}-{repeat}"


def finetune_once(
    setup: Setup, task: Task, pretrained: LayeredModel, number: int, out: Path, stop: StopRequest
) -> FineTuned:
    """Returns the dev scores of fine-tuning `number` of a task (counted over all rates): from its events if it was
    finished before, else by fine-tuning.
    """
    folder, prefix = task_folder(out, task, number), f"{task.suite}/{task.name}/"
    record = fold_run(folder)
    if record.state == "finished":
        final = record.final
        scores = {name.removeprefix(prefix): value for name, value in final.items() if name.startswith(prefix)}
        constant = bool(final[_CONSTANT]) if _CONSTANT in final else None
        return scores, constant, final.get(_MAJORITY)
    log = RunWriter(folder / "events.jsonl")
    try:
        log.emit(RunStarted(0, suite=task.suite, task=task.name, seed=number, digest=task.digest))
        if log.attempt > 1:
            log.emit(RunResumed(0, from_step=0))
        tuning = Finetuning(setup, task, pretrained)
        scores = tuning.score(tuning.tune(number, log, stop))
        facts = {_CONSTANT: float(bool(tuning.constant))}
        if tuning.majority is not None:
            facts[_MAJORITY] = tuning.majority
        metrics = {**{prefix + name: value for name, value in scores.items()}, **facts}
        log.emit(RunFinished(tuning.steps, metrics=metrics, timing={}), durable=True)
    finally:
        log.close()
    return scores, tuning.constant, tuning.majority
