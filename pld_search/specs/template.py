"""The `experiment:` block as a user writes it, with places and names where an Experiment has content digests.

`build_experiment.py` joins a template with the results of `prepare` (`Prepared`), a resolved schedule and a number of
steps to an Experiment. The template keeps the schedule as written; `written_schedules.py` completes it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from pld_search.errors import Refused, below
from pld_search.frozen import Spec
from pld_search.schedules.units import Ratio, Share
from pld_search.specs import limits
from pld_search.specs.architecture import Architecture
from pld_search.specs.experiment import (
    Batch,
    Divergence,
    FineTuningRates,
    Masking,
    OnDivergence,
    Optimizer,
    Positive,
    Validation,
    misplaced,
)
from pld_search.specs.fitting_options import ungrown, unlearnable
from pld_search.specs.growth import Growth, unsuited
from pld_search.specs.lengths import Length, refuse_beyond
from pld_search.specs.pretraining import WrittenPretraining
from pld_search.specs.synonyms import meant
from pld_search.specs.written_schedules import is_place

GLUE_TASKS = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli")


class ModelTemplate(Architecture):
    """A model to initialise; its vocabulary comes from the tokenizer."""


class ModelFrom(Spec):
    """A checkpoint to continue; its architecture comes from the checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    source: Annotated[
        str,
        Field(alias="from", min_length=1, description="a folder with config.json and model.safetensors, or a hub id"),
    ]
    revision: Annotated[str | None, Field(description="revision of a hub id: a branch, tag or commit")] = None

    @model_validator(mode="before")
    @classmethod
    def _the_architecture_is_the_checkpoints(cls, written: Any) -> Any:
        clashes = [key for key in written if key in Architecture.model_fields] if isinstance(written, dict) else []
        if clashes:
            raise Refused(
                [
                    ((key,), "the architecture is that of the checkpoint which `from` names; leave this key out")
                    for key in clashes
                ]
            )
        return written

    @model_validator(mode="after")
    def _only_the_hub_has_revisions(self) -> Self:
        if self.revision is not None and is_place(self.source):
            raise Refused([(("revision",), "only a checkpoint of the hub has a revision")])
        return self


class TextSource(Spec):
    """Local text: `text` holds globs (txt or jsonl, plain or compressed as .gz, .bz2, .xz or .zst), `field` the key of
    a jsonl record.
    """

    text: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...],
        Field(min_length=1, description="file patterns, relative to the file that states them"),
    ]
    field: Annotated[str | None, Field(description="jsonl: the key that holds the text")] = None


class HubSource(Spec):
    """A dataset of the Hugging Face hub, read through `datasets`."""

    hub: Annotated[str, Field(pattern=r"^[^/\s]+/[^/\s]+$", description="ORG/NAME")]
    split: Annotated[str, Field(description="the split of the dataset to train on")] = "train"
    field: Annotated[str, Field(description="the column that holds the text")] = "text"
    revision: Annotated[str | None, Field(description="a branch, tag or commit; it is resolved to a commit")] = None


class TrainedTokenizer(Spec):
    """A tokenizer trained on the training documents."""

    train: Annotated[Literal["wordpiece"], Field(description="the kind of tokenizer to train")]
    vocabulary: Annotated[int, Field(ge=100, le=1_000_000, description="pieces, the five special ones included")]


# The tags of unions are not words of a file: pydantic puts them into the location of an error, beside the keys.
def _source_form(value: Any) -> str:
    if isinstance(value, str):
        return "a demo"
    if isinstance(value, HubSource) or (isinstance(value, dict) and "hub" in value):
        return "a hub"
    return "a text"


def _held_out_form(value: Any) -> str:
    return "a text" if isinstance(value, dict | TextSource) else "a share"


def _tokenizer_form(value: Any) -> str:
    return "a place" if isinstance(value, str) else "a train"


def _model_form(value: Any) -> str:
    return (
        "a from"
        if isinstance(value, ModelFrom) or (isinstance(value, dict) and ("from" in value or "source" in value))
        else "a new"
    )


def _demo_or_mapping(value: Any) -> Any:
    if value != "demo":
        raise ValueError(
            "the training text is `demo`, or a mapping: {text: [GLOB, ...]} for files, {hub: ORG/NAME} for a "
            "dataset of the hub"
        )
    return value


Source = Annotated[
    Annotated[Literal["demo"], BeforeValidator(_demo_or_mapping), Tag("a demo")]
    | Annotated[TextSource, Tag("a text")]
    | Annotated[HubSource, Tag("a hub")],
    Discriminator(_source_form),
]
HeldOut = Annotated[
    Annotated[Share, Tag("a share")] | Annotated[TextSource, Tag("a text")], Discriminator(_held_out_form)
]
Tokenizer = Annotated[
    Annotated[str, Field(min_length=1), Tag("a place")] | Annotated[TrainedTokenizer, Tag("a train")],
    Discriminator(_tokenizer_form),
]
AnyModel = Annotated[
    Annotated[ModelTemplate, Tag("a new")] | Annotated[ModelFrom, Tag("a from")], Discriminator(_model_form)
]


class DataTemplate(Spec):
    """The written data of a run: training text, held-out text, tokenizer, and how sequences are cut and masked."""

    train: Annotated[
        Source,
        Field(
            description=(
                "demo, {text: [GLOB, ...], field: KEY} or {hub: ORG/NAME, split: train, field: text, revision: COMMIT}"
            )
        ),
    ]
    validation: Annotated[HeldOut, Field(description="a share of the documents (at least one), or {text: [...]}")] = (
        0.05
    )
    test: Annotated[HeldOut, Field(description="a share of the documents (at least one), or {text: [...]}")] = 0.05
    document: Annotated[
        Literal["file", "line", "paragraph"],
        Field(description="what one document is; a jsonl or hub record always is one"),
    ] = "file"
    tokenizer: Annotated[
        Tokenizer, Field(description="{train: wordpiece, vocabulary: N}, a folder, a vocab.txt or a hub id")
    ]
    length: Length
    masking: Masking = Masking()

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> Self:
        held_out = [share for share in (self.validation, self.test) if isinstance(share, float)]
        if any(share == 0 for share in held_out) or sum(held_out) >= 1:
            raise ValueError("validation and test are shares above 0 that leave documents to train on")
        return self


def _task(task: Any) -> Any:
    if isinstance(task, str):
        if task not in GLUE_TASKS:
            near = meant(task, GLUE_TASKS)
            hint = f"; did you mean {near}?" if near else ""
            raise ValueError(f"no task of GLUE ({' | '.join(GLUE_TASKS)}); a task of your own is {{name: place}}{hint}")
        return task
    if (
        isinstance(task, dict)
        and len(task) == 1
        and all(isinstance(text, str) and text for text in next(iter(task.items())))
    ):
        return task
    raise ValueError("a task is a name of GLUE, or a mapping of one name to one place: {name: place}")


def _tasks_form(value: Any) -> str:
    return "a demo" if isinstance(value, str) else "a list"


def _only_demo(value: Any) -> Any:
    if value != "demo":
        raise ValueError(f"tasks are `demo`, or a list of GLUE's names ({' | '.join(GLUE_TASKS)}) and {{name: place}}")
    return value


NamedTask = Annotated[Any, BeforeValidator(_task)]
Tasks = Annotated[
    Annotated[Literal["demo"], BeforeValidator(_only_demo), Tag("a demo")]
    | Annotated[tuple[NamedTask, ...], Tag("a list")],
    Discriminator(_tasks_form),
]


class EvaluationTemplate(Spec):
    """Fine-tuning after pre-training: its tasks and settings. Tasks are `demo`, or a list of GLUE's names and `{name:
    place}`.
    """

    tasks: Annotated[Tasks, Field(description="demo, or a list of GLUE's names and {NAME: PLACE}")] = ()
    seeds: Annotated[int, Field(ge=1, le=limits.SEEDS, description="fine-tunings of each task")] = 1
    lr: Annotated[
        FineTuningRates,
        Field(description="peak learning rate of a fine-tuning, or a list: the best of each task counts"),
    ] = 1e-4
    epochs: Annotated[Positive, Field(description="passes over a task's examples")] = 3
    batch: Annotated[Positive, Field(description="examples of a fine-tuning step")] = 32
    length: Annotated[
        int, Field(ge=8, le=limits.LENGTH, description="longest input in tokens; longer ones are cut")
    ] = 128

    @field_validator("tasks")
    @classmethod
    def _each_once(cls, tasks: Any) -> Any:
        names = [] if tasks == "demo" else [task if isinstance(task, str) else next(iter(task)) for task in tasks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"listed twice: {', '.join(twice)}")
        return tasks

    @property
    def named_tasks(self) -> tuple[tuple[str, str | None], ...]:
        """(name, place or None) of every listed task; empty for `demo`, whose tasks are always the same."""
        if self.tasks == "demo":
            return ()
        return tuple((task, None) if isinstance(task, str) else next(iter(task.items())) for task in self.tasks)


class ExperimentTemplate(Spec):
    """The written `experiment:` block, without open domains; `schedule` is a name, a place or a mapping."""

    model: Annotated[AnyModel, Field(description="the architecture, or {from: CHECKPOINT}")]
    data: DataTemplate
    batch: Batch
    optimizer: Optimizer
    precision: Annotated[
        Literal["fp32", "bf16", "fp16", "auto"], Field(description="auto: fp16 on CUDA, fp32 on a CPU")
    ] = "auto"
    on_divergence: Annotated[
        OnDivergence,
        Field(
            description=(
                "what a diverged run does: it ends and counts as a uniform guess, or goes on from its last good "
                "checkpoint in fp32 or with less lr"
            )
        ),
    ] = "stop"
    divergence: Divergence = Divergence()
    evaluation: EvaluationTemplate = EvaluationTemplate()
    validation: Validation = Validation()
    schedule: Annotated[Any, Field(description="a name of the library, a place, or a mapping")]
    growth: Annotated[
        Growth | None, Field(description="a stack that grows during the run; default: all layers from the start")
    ] = None
    pretraining: WrittenPretraining = None
    budget_share: Annotated[
        Ratio | None,
        Field(
            description=(
                "the share of the study's budget that one system has, 80 % or 125 %; such a row is shown, not judged"
            )
        ),
    ] = None
    seed: Annotated[
        int, Field(ge=0, le=limits.SEED, description="seed of the first run; further runs count up from it")
    ] = 0

    @field_validator("schedule")
    @classmethod
    def _schedule_form(cls, schedule: Any) -> Any:
        if not isinstance(schedule, str | dict) or not schedule:
            raise ValueError("a schedule is a name of the library, a place or a mapping")
        return schedule

    @model_validator(mode="after")
    def _recovery_fits_the_policy(self) -> Self:
        misplaced(self.on_divergence, self.divergence)
        return self

    @model_validator(mode="after")
    def _what_is_learned_fits_the_model(self) -> Self:
        if isinstance(self.model, ModelTemplate) and self.pretraining is not None:
            reasons = self.pretraining.misfits(self.model.hidden, self.model.heads)
            if reasons:
                raise Refused(below(("pretraining",), reasons))
        if isinstance(self.model, ModelTemplate):
            unfit = unlearnable(self.model, self.pretraining) + ungrown(self.model, self.growth)
            if unfit:
                raise Refused(unfit)
        return self

    @model_validator(mode="after")
    def _positions_reach(self) -> Self:
        if isinstance(self.model, ModelTemplate) and self.model.positions == "learned":
            refuse_beyond(self.data.length, self.model.max_length)
        return self

    @model_validator(mode="after")
    def _growth_suits_the_model(self) -> Self:
        if isinstance(self.model, ModelFrom):
            reasons = unsuited(self.growth, None)
        else:
            reasons = unsuited(self.growth, self.model.layers, self.model.norm)
        if reasons:
            raise Refused(reasons)
        return self


def is_local_place(text: str) -> bool:
    """Whether the place of a tokenizer, checkpoint or task is on this machine: by its spelling, or as a vocab.txt."""
    return is_place(text) or text.endswith(".txt")
