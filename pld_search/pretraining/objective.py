"""What every pre-training objective promises. Training knows an objective by this class alone.

An objective is a value without state: its batches are pure functions of the step, its losses are functions of a model
and a batch. What it costs is in costs/objectives/, so that it is known without torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
from torch import Tensor

from pld_search.costs.objectives import MlmCosts, costs_of
from pld_search.data.held_out_documents import DocumentBlocks
from pld_search.data.masking import Ids
from pld_search.data.packed_corpus import Corpus
from pld_search.model.bert import PldBertForSequenceClassification
from pld_search.model.build_model import classifier
from pld_search.model.layered_model import LayeredModel
from pld_search.pretraining.batch_tensors import Examples, MicroBatch
from pld_search.schedules.plan import AnyGates
from pld_search.specs.experiment import Batch, Data, Model, Task
from pld_search.specs.pretraining import Pretraining

CHUNK = 64
"""Held-out sequences that are read at once."""


class StepBatches(Protocol):
    """The global batches of a run, as pure functions of the step."""

    def at(self, step: int, own: Ids | None = None) -> Examples:
        """The global batch of a step, or the sequences `own` (N,) of it, by their numbers in the batch."""

    def counts(self, step: int) -> tuple[int, ...]:
        """How many targets each term of the loss has in the whole global batch of a step."""


class PretrainingObjective(ABC):
    """One pre-training objective. `spec` holds its settings; None is masked language modelling."""

    kind: ClassVar[str]
    """The word of the key `pretraining`."""
    costs_class: ClassVar[type[MlmCosts]]
    """FLOPs, parameters and memory of its heads, and the loss of a uniform guess."""
    model_class: ClassVar[type[LayeredModel]]
    """The encoder with the heads of this objective."""

    def __init__(self, spec: Pretraining | None = None) -> None:
        self.spec = spec

    def model_settings(self, model: Model) -> dict[str, Any]:  # noqa: ARG002 - of a second network, where there is one
        """What the configuration of this objective's model states beside the architecture of the encoder, which is
        that at the end of the run.
        """
        return {}

    @property
    def costs(self) -> MlmCosts:
        """What its heads cost; `uniform_guess` is the loss at chance, by which divergence is judged."""
        return costs_of(self.spec)

    def check_held_out(self, corpus: Corpus, data: Data) -> None:
        """Raises DataError where the validation or the test split does not fill one sequence."""
        for split in ("validation", "test"):
            corpus.split(split, data.final_length)

    @abstractmethod
    def batches(self, corpus: Corpus, data: Data, batch: Batch, seed: int, steps: int) -> StepBatches:
        """The batches of a run of `steps` steps. Raises DataError where the corpus cannot fill them."""

    @abstractmethod
    def held_out(self, corpus: Corpus, data: Data, split: str, sequences: int) -> Iterator[Examples]:
        """At most `sequences` of the `validation` or `test` split in chunks, the same for every run and step."""

    @abstractmethod
    def loss(self, model: LayeredModel, part: MicroBatch, gates: AnyGates | None) -> Tensor:
        """The micro-batch's share of the loss of its step (0-d, float32). One without targets still runs the model:
        ranks wait for each other's layers.
        """

    @abstractmethod
    def held_out_sums(self, model: LayeredModel, tensors: Mapping[str, Tensor], counts: tuple[int, ...]) -> Tensor:
        """Sums over one chunk, float64 (S,), which add up over chunks and ranks; `counts` are those of the chunk."""

    @abstractmethod
    def held_out_metrics(self, sums: Sequence[float]) -> dict[str, float]:
        """The metrics of a split from its sums: `loss`, that of the whole objective in nats, and others by name. What
        had no target is NaN.
        """

    def documents(self, corpus: Corpus, data: Data, split: str, sequences: int) -> DocumentBlocks | None:  # noqa: ARG002
        """The documents by which `held_out_positions` keeps the losses of `held_out`; None where they are not kept."""
        return None

    def held_out_positions(
        self, model: LayeredModel, tensors: Mapping[str, Tensor], counts: tuple[int, ...]
    ) -> tuple[Tensor, Tensor]:
        """`held_out_sums`, and the nats at each of the chunk's `positions` (N, K); only where there are `documents`."""
        raise NotImplementedError

    def fine_tuning_start(
        self, spec: Model, task: Task, seed: int, start: LayeredModel
    ) -> PldBertForSequenceClassification:
        """The classifier of a task that begins with what pre-training has trained."""
        return classifier(spec, task.labels, task.kind, seed, start=start)


def mean(total: float, count: float) -> float:
    """A mean, NaN over nothing."""
    return total / count if count else float(np.nan)
