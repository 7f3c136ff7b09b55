"""The user's alternative: transformers' `Trainer` with `BertForMaskedLM`, as fast as its own settings allow.

The Trainer gets the same initial weights and the same masked batches. The batches are collated before any timing, so
its input costs nothing. It has a fused optimizer, no logging and no saving. `accepts_loss_kwargs = False` prevents the
Trainer from multiplying loss and gradients by accumulation steps x ranks (huggingface/transformers#47688).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from transformers import BertConfig, BertForMaskedLM, Trainer, TrainerCallback, TrainingArguments

from pld_search.bench.timed_job import Burst, TimedJob
from pld_search.model.build_model import masked_lm
from pld_search.model.token_loss import IGNORED
from pld_search.model.transformers_keys import to_transformers
from pld_search.pretraining.batch_tensors import MicroBatch
from pld_search.specs.experiment import Experiment
from pld_search.training.device import synchronize
from pld_search.training.setup import Setup

_DISTINCT = 64  # batches made beforehand; later steps reuse them
_CONTROL = 2  # callbacks are called with (arguments, state, control)
Inputs = dict[str, Tensor]


def reference_model(experiment: Experiment) -> BertForMaskedLM:
    """Returns `BertForMaskedLM` with an experiment's shape and the initial weights of this package's model."""
    spec = experiment.model
    config = BertConfig(
        vocab_size=spec.vocabulary,
        hidden_size=spec.hidden,
        num_hidden_layers=spec.layers,
        num_attention_heads=spec.heads,
        intermediate_size=spec.intermediate,
        hidden_dropout_prob=spec.dropout,
        attention_probs_dropout_prob=spec.attention_dropout,
        max_position_embeddings=spec.max_length,
        pad_token_id=None,
        attn_implementation="sdpa",
    )
    model = BertForMaskedLM(config)
    ours = masked_lm(spec, experiment.seed)
    missing, unexpected = model.load_state_dict(to_transformers(ours.state_dict(), ours.config), strict=False)
    assert not unexpected and all("decoder" in name or "position_ids" in name for name in missing), (
        missing,
        unexpected,
    )
    model.tie_weights()
    model.accepts_loss_kwargs = False
    return model


class _Batches(Dataset[Inputs]):
    """Micro-batches in the order of the steps, in the form of `BertForMaskedLM`: labels at every position."""

    def __init__(self, setup: Setup, start: int, length: int) -> None:
        self._items = [
            _item(micro)
            for step in range(start, start + _DISTINCT)
            for group in setup.batch_at(step)
            for micro in group
        ]
        self._length = length

    @property
    def a_step(self) -> int:
        return len(self._items) // _DISTINCT

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Inputs:
        return self._items[index % len(self._items)]


def _item(micro: MicroBatch) -> Inputs:
    return {"input_ids": micro.input_ids, "labels": labels_everywhere(micro)}


def labels_everywhere(micro: MicroBatch) -> Tensor:
    """Returns the labels (n, L) of a micro-batch at every position; IGNORED where no token is predicted."""
    labels = torch.full_like(micro.input_ids, IGNORED)
    positions, own = micro.tensors["positions"], micro.tensors["labels"]
    predicted = own != IGNORED
    rows = torch.arange(len(labels))[:, None].expand_as(positions)
    labels[rows[predicted], positions[predicted]] = own[predicted]
    return labels


class _Bare(Trainer):  # type: ignore[misc]  # transformers carries no types
    """A Trainer that reads finished batches and keeps the loss of each forward."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.losses: list[Tensor] = []

    def get_train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.train_dataset, batch_size=None, pin_memory=self.args.device.type == "cuda")

    def compute_loss(self, *arguments: Any, **more: Any) -> Tensor:
        loss: Tensor = super().compute_loss(*arguments, **more)
        self.losses.append(loss.detach())
        return loss


class _Gate(TrainerCallback):  # type: ignore[misc]
    """Lets the Trainer run the requested number of steps, and answers with a burst."""

    def __init__(self, setup: Setup, wanted: Iterator[int], answer: Any, accumulation: int) -> None:
        self._setup, self._wanted, self._answer, self._accumulation = setup, wanted, answer, accumulation
        self.trainer: _Bare | None = None
        self._left = self._asked = 0
        self._begun = 0.0

    def _next(self, control: Any) -> None:
        self._asked = self._left = next(self._wanted, 0)
        if not self._asked:
            control.should_training_stop = True
        synchronize(self._setup.device)
        self._begun = time.perf_counter()

    def on_train_begin(self, *called: Any, **_: Any) -> None:
        self._next(called[_CONTROL])

    def on_step_end(self, *called: Any, **_: Any) -> None:
        self._left -= 1
        if self._left:
            return
        synchronize(self._setup.device)
        seconds = time.perf_counter() - self._begun
        assert self.trainer is not None
        kept = torch.stack(self.trainer.losses).float().reshape(self._asked, self._accumulation).mean(1).tolist()
        self.trainer.losses.clear()
        flops = self._setup.flops.final
        executed = (flops.block * self._setup.experiment.model.layers + flops.fixed) * self._asked
        self._answer(Burst(steps=self._asked, seconds=seconds, flops=executed, losses=tuple(kept)))
        self._next(called[_CONTROL])


def train(job: TimedJob, setup: Setup, wanted: Iterator[int], answer: Any) -> None:
    """Trains until `wanted` ends; answers with a burst for each of its numbers."""
    experiment, execution, fit = job.experiment, job.execution, setup.fit
    assert fit is not None
    torch.manual_seed(experiment.seed)
    batches = _Batches(setup, job.start, experiment.steps)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=experiment.steps,
            per_device_train_batch_size=fit.size,
            gradient_accumulation_steps=batches.a_step,
            learning_rate=experiment.optimizer.lr,
            lr_scheduler_type="constant",
            weight_decay=experiment.optimizer.weight_decay,
            max_grad_norm=experiment.optimizer.clip,
            optim="adamw_torch_fused",
            fp16=experiment.precision == "fp16",
            bf16=experiment.precision == "bf16",
            use_cpu=setup.device.type == "cpu",
            torch_compile=execution.compile,
            logging_strategy="no",
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        gate = _Gate(setup, wanted, answer, batches.a_step)
        gate.trainer = _Bare(model=reference_model(experiment), args=arguments, train_dataset=batches, callbacks=[gate])
        gate.trainer.train()
