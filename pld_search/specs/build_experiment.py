"""Joins a written template with prepared data, a resolved schedule and a number of steps to an Experiment."""

from __future__ import annotations

from pld_search.errors import ConfigError, Problem
from pld_search.schedules.schedule import Schedule
from pld_search.specs.experiment import Data, Evaluation, Experiment, Model, Precision
from pld_search.specs.lengths import final_length
from pld_search.specs.prepared_data import Prepared, PreparedCheckpoint, PreparedCorpus
from pld_search.specs.template import DataTemplate, ExperimentTemplate, ModelFrom, ModelTemplate, TrainedTokenizer

NOTHING = "sha256:" + "0" * 64
"""The digest of content that was not prepared."""
_STAND_IN_VOCABULARY = 30_522


def build(template: ExperimentTemplate, schedule: Schedule, steps: int, seed: int, prepared: Prepared) -> Experiment:
    """Returns the Experiment of one run; `steps` is T and `seed` is the run's own.

    Raises ConfigError when the precision is still `auto`, and when a checkpoint does not fit the tokenizer.
    """
    if template.precision == "auto":
        raise ConfigError(Problem("the precision is fixed when a study is created", ("precision",), given="auto"))
    written = template.evaluation
    return Experiment(
        model=model_of(template, prepared),
        data=data_of(template, prepared),
        batch=template.batch,
        optimizer=template.optimizer,
        precision=template.precision,
        on_divergence=template.on_divergence,
        divergence=template.divergence,
        evaluation=Evaluation(
            tasks=tuple(task.task for task in prepared.tasks),
            seeds=written.seeds,
            lr=written.lr,
            epochs=written.epochs,
            batch=written.batch,
            length=written.length,
        ),
        validation=template.validation,
        schedule=schedule,
        growth=template.growth,
        pretraining=template.pretraining,
        steps=steps,
        seed=seed,
    )


def model_of(template: ExperimentTemplate, prepared: Prepared) -> Model:
    """Returns the architecture: the checkpoint's, or the written one with the tokenizer's vocabulary.

    Raises ConfigError when the checkpoint is not prepared, has another vocabulary, or has too few learned positions.
    """
    vocabulary = prepared.corpus.vocabulary
    if isinstance(template.model, ModelFrom):
        if prepared.checkpoint is None:
            raise ConfigError(
                Problem("the checkpoint was not prepared", ("model", "from"), given=template.model.source)
            )
        model = prepared.checkpoint.model
        if model.vocabulary != vocabulary:
            rule = (
                f"the checkpoint has {model.vocabulary} token embeddings, the tokenizer {vocabulary} pieces; "
                "they must be the same tokens"
            )
            raise ConfigError(Problem(rule, ("model", "from"), given=template.model.source))
        if model.positions == "learned" and final_length(template.data.length) > model.max_length:
            rule = "sequences are longer than the checkpoint's table of learned positions"
            raise ConfigError(
                Problem(
                    rule,
                    ("data", "length"),
                    allowed=f"at most {model.max_length}",
                    given=str(final_length(template.data.length)),
                )
            )
        return model
    return new_model(template.model, vocabulary)


def new_model(written: ModelTemplate, vocabulary: int) -> Model:
    """Returns the architecture of a model to initialise."""
    fields = written.model_dump()
    return Model(**{**fields, "intermediate": fields["intermediate"] or written.inner_width, "vocabulary": vocabulary})


def data_of(template: ExperimentTemplate, prepared: Prepared) -> Data:
    """Returns the data of the Experiment, by content digests."""
    return Data(
        corpus=prepared.corpus.corpus,
        tokenizer=prepared.corpus.tokenizer,
        length=template.data.length,
        masking=template.data.masking,
    )


def fixed_precision(precision: str, device_kind: str) -> Precision:
    """Replaces `auto` by the precision for a kind of device (`cpu`, `cuda`): fp16 on CUDA, fp32 elsewhere. Any other
    precision is returned unchanged.
    """
    if precision == "auto":
        return "fp16" if device_kind == "cuda" else "fp32"
    return precision  # type: ignore[return-value]  # the template accepts no other word


def stand_in(template: ExperimentTemplate, start: Model | None = None) -> Prepared:
    """Returns a `Prepared` for checking shapes and forecasting FLOPs before anything is prepared; never for training.

    Its vocabulary is the one of `start`, the architecture of a checkpoint to continue. Without `start` it is the size
    of the tokenizer to be trained, else BERT's (30,522).
    """
    vocabulary = start.vocabulary if start else assumed_vocabulary(template.data)
    corpus = PreparedCorpus(corpus=NOTHING, tokenizer=NOTHING, folder="", vocabulary=vocabulary, statistics={})
    return Prepared(
        corpus=corpus,
        checkpoint=start and PreparedCheckpoint(model=start.model_copy(update={"checkpoint": NOTHING}), folder=""),
    )


def assumed_vocabulary(data: DataTemplate) -> int:
    """Returns the number of pieces of a tokenizer before it exists: its stated vocabulary, else BERT's (30,522)."""
    return data.tokenizer.vocabulary if isinstance(data.tokenizer, TrainedTokenizer) else _STAND_IN_VOCABULARY
