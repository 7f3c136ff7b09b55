"""The interface of a pre-training objective. Training uses an objective only through this class.

An objective is a value without state: its batches are pure functions of the step, and its losses are functions of a
model and a batch. costs/objectives/ has its costs, so that they are known without torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from torch import Tensor

from pld_search.costs.objectives import MlmCosts, costs_of
from pld_search.data.held_out_documents import Blocks
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
"""The number of held-out sequences that are read at once."""


class HeldOutPart(NamedTuple):
    """One term of an objective on a chunk of held-out sequences: `nats` (N, K) at `positions` (N, K) of each sequence,
    below 0 where there is no target.
    """

    nats: Tensor
    positions: Tensor


class StepBatches(Protocol):
    """The global batches of a run, as pure functions of the step."""

    def at(self, step: int, own: Ids | None = None) -> Examples:
        """Returns the global batch of a step, or only its sequences `own` (N,), by their numbers in the batch."""

    def counts(self, step: int) -> tuple[int, ...]:
        """Returns the number of targets of each term of the loss in the whole global batch of a step."""


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

    def model_settings(self, model: Model) -> dict[str, Any]:  # noqa: ARG002 - for objectives with a second network
        """Returns the settings of this objective's model configuration besides the encoder's architecture. `model` is
        the architecture at the end of the run.
        """
        return {}

    @property
    def costs(self) -> MlmCosts:
        """The costs of its heads; `uniform_guess` is the loss at chance, by which divergence is judged."""
        return costs_of(self.spec)

    def check_held_out(self, corpus: Corpus, data: Data) -> None:
        """Raises DataError if the validation or the test split does not fill one sequence."""
        for split in ("validation", "test"):
            corpus.split(split, data.final_length)

    @abstractmethod
    def batches(self, corpus: Corpus, data: Data, batch: Batch, seed: int, steps: int) -> StepBatches:
        """Returns the batches of a run of `steps` steps. Raises DataError if the corpus cannot fill them."""

    @abstractmethod
    def held_out(self, corpus: Corpus, data: Data, split: str, sequences: int) -> Iterator[Examples]:
        """Yields at most `sequences` of the `validation` or `test` split in chunks, equal for every run and step."""

    @abstractmethod
    def loss(self, model: LayeredModel, part: MicroBatch, gates: AnyGates | None) -> Tensor:
        """Returns the micro-batch's share of the loss of its step (0-d, float32). A micro-batch without targets still
        runs the model, because ranks wait for each other's layers.
        """

    @abstractmethod
    def held_out_sums(self, model: LayeredModel, tensors: Mapping[str, Tensor], counts: tuple[int, ...]) -> Tensor:
        """Returns sums over one chunk, float64 (S,), which add up over chunks and ranks; `counts` are the chunk's."""

    @abstractmethod
    def held_out_metrics(self, sums: Sequence[float]) -> dict[str, float]:
        """Returns the metrics of a split from its sums: `loss`, of the whole objective in nats, and others by name. A
        metric without targets is NaN.
        """

    def documents(self, corpus: Corpus, data: Data, split: str, sequences: int) -> Blocks | None:  # noqa: ARG002
        """Returns the documents by which `held_out_parts` groups losses; None if the objective does not."""
        return None

    @property
    def part_weights(self) -> tuple[float, ...]:
        """The weights of the means that add up to the loss of the whole objective, one for each of `held_out_parts`."""
        return (1.0,)

    def held_out_parts(
        self, model: LayeredModel, tensors: Mapping[str, Tensor], counts: tuple[int, ...]
    ) -> tuple[Tensor, tuple[HeldOutPart, ...]]:
        """Returns `held_out_sums`, and the losses of each term of the objective by position; only with `documents`."""
        raise NotImplementedError

    def fine_tuning_start(
        self, spec: Model, task: Task, seed: int, start: LayeredModel
    ) -> PldBertForSequenceClassification:
        """Returns the classifier of a task, initialised with the pre-trained model."""
        return classifier(spec, task.labels, task.kind, seed, start=start)


def mean(total: float, count: float) -> float:
    """Returns a mean, NaN for a count of 0."""
    return total / count if count else float(np.nan)
