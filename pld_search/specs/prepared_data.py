"""What `prepare` hands up: content digests, sizes and the places that hold them; the bridge from a written template to
an Experiment.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import model_validator

from pld_search.frozen import Spec
from pld_search.specs.experiment import Digest, Model, Task


class PreparedCorpus(Spec):
    """One corpus on disk. `statistics` holds what a report shows: documents, tokens by split, unigram_entropy
    (nats).
    """

    corpus: Digest
    tokenizer: Digest
    folder: str
    vocabulary: int
    statistics: dict[str, Any]


class PreparedTask(Spec):
    """One downstream task on disk; `majority` are its metrics for a guess of the commonest label alone."""

    task: Task
    folder: str
    majority: dict[str, float] = {}


class PreparedCheckpoint(Spec):
    """A checkpoint to continue: its architecture, with the digest of its weights in `model.checkpoint`, and
    its folder.
    """

    model: Model
    folder: str

    @model_validator(mode="after")
    def _has_a_digest(self) -> Self:
        if self.model.checkpoint is None:
            raise ValueError("a prepared checkpoint states the digest of its weights")
        return self


class Prepared(Spec):
    """Everything one written data and evaluation block needs; `folders` maps digests to places for the Execution."""

    corpus: PreparedCorpus
    tasks: tuple[PreparedTask, ...] = ()
    checkpoint: PreparedCheckpoint | None = None

    @property
    def folders(self) -> dict[str, str]:
        """The folder of every digest: corpus, tasks, and the checkpoint where there is one."""
        places = {self.corpus.corpus: self.corpus.folder, **{task.task.digest: task.folder for task in self.tasks}}
        if self.checkpoint is not None and self.checkpoint.model.checkpoint is not None:
            places[self.checkpoint.model.checkpoint] = self.checkpoint.folder
        return places
