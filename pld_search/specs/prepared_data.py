"""The results of `prepare`: content digests, sizes and folders. They connect a written template to an Experiment."""

from __future__ import annotations

from typing import Any, Self

from pydantic import model_validator

from pld_search.frozen import Spec
from pld_search.specs.experiment import Digest, Model, Task


class PreparedCorpus(Spec):
    """One corpus on disk. `statistics` holds numbers for a report: documents, tokens by split, unigram_entropy
    (nats).
    """

    corpus: Digest
    tokenizer: Digest
    folder: str
    vocabulary: int
    statistics: dict[str, Any]


class PreparedTask(Spec):
    """One downstream task on disk; `majority` holds its metrics for a guess that is always the commonest label."""

    task: Task
    folder: str
    majority: dict[str, float] = {}


class PreparedCheckpoint(Spec):
    """A checkpoint to continue: its folder and its architecture, with the digest of its weights in
    `model.checkpoint`.
    """

    model: Model
    folder: str

    @model_validator(mode="after")
    def _has_a_digest(self) -> Self:
        if self.model.checkpoint is None:
            raise ValueError("a prepared checkpoint states the digest of its weights")
        return self


class Prepared(Spec):
    """Everything that one written data and evaluation block needs; `folders` maps digests to folders for the
    Execution.
    """

    corpus: PreparedCorpus
    tasks: tuple[PreparedTask, ...] = ()
    checkpoint: PreparedCheckpoint | None = None

    @property
    def folders(self) -> dict[str, str]:
        """The folder of every digest: the corpus, the tasks, and the checkpoint if there is one."""
        places = {self.corpus.corpus: self.corpus.folder, **{task.task.digest: task.folder for task in self.tasks}}
        if self.checkpoint is not None and self.checkpoint.model.checkpoint is not None:
            places[self.checkpoint.model.checkpoint] = self.checkpoint.folder
        return places
