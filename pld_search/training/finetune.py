"""One fine-tuning of a pre-trained model on a task: at full depth, in fp32 on the CPU and in the run's precision
elsewhere.

AdamW by BERT's recipe: 10 % warm-up, then linear to zero, weight decay 0.01, clipping at 1.0; a step with gradients
that are not finite changes nothing. Its seed is derived from the run's seed, so that systems with equal seeds share
classifier initialisation and data order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pld_search.data.shuffle import order
from pld_search.data.task_inputs import Encoded, Inputs
from pld_search.data.tasks import Example, TaskData
from pld_search.host.signals import StopRequest
from pld_search.model.bert import PldBertForSequenceClassification
from pld_search.model.layered_model import LayeredModel
from pld_search.records.events import RunProgress
from pld_search.records.run_record import RunWriter
from pld_search.schedules.hash_words import seed_word
from pld_search.specs.experiment import Optimizer, Task
from pld_search.training.learning_rate import LearningRate, learning_rate
from pld_search.training.optimizer import adamw, set_lr
from pld_search.training.precision import Numerics
from pld_search.training.setup import Setup

_AT_ONCE = 256  # dev inputs predicted in one forward, sorted by length so that there is little padding
Scores = dict[str, float]


@dataclass(frozen=True, slots=True)
class Recipe:
    """The recipe for one task: updates of `batch` examples each."""

    optimizer: Optimizer
    batch: int
    epochs: int
    per_epoch: int

    @property
    def rate(self) -> LearningRate:
        """The learning rate over all updates of all epochs."""
        return learning_rate(self.optimizer, self.per_epoch * self.epochs)


class Finetuning:
    """One task; its training texts are encoded once for all repeats."""

    def __init__(self, setup: Setup, task: Task, pretrained: LayeredModel) -> None:
        evaluation = setup.experiment.evaluation
        self._setup, self._task, self._pretrained = setup, task, pretrained
        self._data: TaskData = setup.task_data(task)
        self._train = self._encoded(self._data.train)
        per_epoch = -(-len(self._train) // evaluation.batch)
        self._recipes = {
            rate: Recipe(Optimizer(lr=rate, warmup="10 %"), evaluation.batch, evaluation.epochs, per_epoch)
            for rate in evaluation.rates
        }
        self.constant: bool | None = None
        self._precision = "fp32" if setup.device.type == "cpu" else setup.precision

    @property
    def steps(self) -> int:
        """The number of updates of one repeat."""
        return next(iter(self._recipes.values())).rate.total

    @property
    def majority(self) -> float | None:
        """The dev accuracy of always predicting the most frequent class; None for a regression."""
        if self._task.kind == "regression":
            return None
        labels = [example.label for example in self._data.dev]
        return max(labels.count(label) for label in set(labels)) / len(labels)

    def tune(self, number: int, log: RunWriter | None, stop: StopRequest) -> PldBertForSequenceClassification:
        """Runs fine-tuning `number` of the task (counted over all rates), with a progress event per epoch in `log`.
        Raises Interrupted as soon as a signal asks for it.
        """
        rate_of_peak, repeat = self._setup.experiment.evaluation.rate_and_repeat(number)
        setup, recipe = self._setup, self._recipes[rate_of_peak]
        seed = seed_word(setup.experiment.seed, f"finetune:{self._task.suite}/{self._task.name}", repeat)
        model = setup.objective.fine_tuning_start(setup.experiment.model, self._task, seed, self._pretrained)
        model.to(setup.device).train()
        parameters, rate = list(model.parameters()), recipe.rate
        optimizer, numerics = adamw(parameters, recipe.optimizer), Numerics(self._precision, setup.device)
        total = torch.zeros((), device=setup.device)
        for step, indices in enumerate(batches_of(len(self._train), recipe.batch, recipe.epochs, seed)):
            if stop.requested:
                raise stop.interrupted(f"in fine-tuning on {self._task.suite}/{self._task.name}")
            torch.manual_seed(seed_word(seed, "dropout", step))
            set_lr(optimizer, rate.at(step))
            inputs = self._train.batch(indices)
            with numerics.autocast():
                loss = model(**self._tensors(inputs), labels=self._labels(inputs)).loss
            numerics.backward(loss)
            numerics.step(optimizer, parameters, recipe.optimizer.clip)
            optimizer.zero_grad(set_to_none=True)
            total += loss.detach()
            if (step + 1) % recipe.per_epoch == 0:
                if log is not None:
                    _log_epoch(log, step + 1, float(total) / recipe.per_epoch)
                total.zero_()
        return model

    @torch.no_grad()
    def score(self, model: PldBertForSequenceClassification) -> Scores:
        """Returns every metric on every dev set of the task, and sets `constant`: whether all predictions are equal."""
        said: list[NDArray[np.float64]] = []

        def predicted(examples: list[Example]) -> NDArray[np.float64]:
            said.append(self.predict(model, examples))
            return said[-1]

        scores = self._data.scores(predicted)
        whole = np.concatenate(said)
        self.constant = bool(np.isnan(whole).any() or (whole == whole[0]).all())
        return scores

    @torch.no_grad()
    def predict(self, model: PldBertForSequenceClassification, examples: list[Example]) -> NDArray[np.float64]:
        """Class numbers, or real numbers in a regression, in the order of the examples, float64 (N,); NaN where an
        output is not finite.
        """
        model.eval()
        encoded, numerics = self._encoded(examples), Numerics(self._precision, self._setup.device)
        by_length = np.argsort(encoded.lengths, kind="stable")
        predicted = np.empty(len(encoded))
        for start in range(0, len(encoded), _AT_ONCE):
            indices = by_length[start : start + _AT_ONCE]
            with numerics.autocast():
                logits = model(**self._tensors(encoded.batch(indices))).logits.double()
            chosen = logits.squeeze(-1) if self._task.kind == "regression" else logits.argmax(-1).double()
            predicted[indices] = torch.where(torch.isfinite(logits).all(-1), chosen, torch.nan).cpu().numpy()
        return predicted

    def _encoded(self, examples: list[Example]) -> Encoded:
        return Encoded(self._setup.corpus.tokenizer, examples, self._setup.experiment.evaluation.length)

    def _tensors(self, inputs: Inputs) -> dict[str, torch.Tensor]:
        names = ("input_ids", "attention_mask", "token_type_ids")
        return {name: torch.from_numpy(getattr(inputs, name)).to(self._setup.device) for name in names}

    def _labels(self, inputs: Inputs) -> torch.Tensor:
        labels = torch.from_numpy(inputs.labels).to(self._setup.device)
        return labels.float() if self._task.kind == "regression" else labels.long()


def batches_of(examples: int, batch: int, epochs: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yields the indices of every batch of every epoch. Each epoch has its own order; its last batch may be smaller."""
    for epoch in range(epochs):
        shuffled = order(seed, epoch, np.arange(examples), examples)
        for start in range(0, examples, batch):
            yield shuffled[start : start + batch]


def _log_epoch(log: RunWriter, step: int, loss: float) -> None:
    log.emit(RunProgress(step, metrics={"train/loss": loss} if np.isfinite(loss) else {}, timing={}))
