"""Builds a model from a spec, new or continued from a checkpoint, and a classifier from a pre-trained model."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Literal, TypeVar

from torch import nn

from pld_search.errors import CheckpointError, ConfigError, Problem
from pld_search.model.bert import PldBertForMaskedLM, PldBertForPreTraining, PldBertForSequenceClassification
from pld_search.model.electra import PldElectra
from pld_search.model.initial_values import initialise
from pld_search.model.layered_model import LayeredModel
from pld_search.model.pretrained import checkpoint_config, checkpoint_spec, checkpoint_state, find
from pld_search.model.stored_model import HEADS
from pld_search.model.transformers_config import PldBertConfig, config_of
from pld_search.specs.experiment import Model

_FROM_CHECKPOINT = (
    *("layer_norm_eps", "pad_token_id", "type_vocab_size", "classifier_dropout", "layer_places"),
    "head_activation",
    *("generator_hidden_size", "generator_layers", "generator_heads", "generator_intermediate_size"),
)
AnyLayered = TypeVar("AnyLayered", bound=LayeredModel)


def masked_lm(spec: Model, seed: int = 0, checkpoint: Path | None = None) -> PldBertForMaskedLM:
    """Returns the masked language model of a spec (see `pretraining_model`)."""
    return pretraining_model(PldBertForMaskedLM, spec, seed, checkpoint)


def pretraining_model(
    model_class: type[AnyLayered], spec: Model, seed: int = 0, checkpoint: Path | None = None, **settings: Any
) -> AnyLayered:
    """Returns the model of a spec with the heads of an objective, float32 on the CPU, every parameter initialised by
    (seed, name).

    A spec that names a `checkpoint` needs its folder, whose weights then replace the initial values; a head that the
    checkpoint lacks keeps its initial values. Raises CheckpointError for a checkpoint with another shape than the
    spec's.
    """
    if (spec.checkpoint is None) != (checkpoint is None):
        raise CheckpointError(
            "the spec names a checkpoint, but no folder for it"
            if checkpoint is None
            else "a checkpoint's folder, but the spec names none"
        )
    more = {} if checkpoint is None else _known_to(checkpoint)
    if not issubclass(model_class, PldElectra):
        more = {name: value for name, value in more.items() if not name.startswith("generator_")}
    model = model_class(config_of(spec, **{**more, **settings}))
    initialise(model, spec, seed)
    if checkpoint is not None:
        _load(model, checkpoint)
    return model


def load_bert(source: str | Path, seed: int = 0, *, model_class: type[LayeredModel] | None = None) -> Any:
    """Loads the model of a checkpoint: a folder or the hub's ORG/NAME (pretrained.py lists the supported classes).

    model_class: None means the class that this project saved it as, else a masked language model.
    """
    folder = find(str(source))
    model = pretraining_model(model_class or saved_class(folder), checkpoint_spec(folder), seed, folder)
    model.full_depth = checkpoint_config(folder).full_depth
    return model


def classifier(
    spec: Model,
    labels: int,
    kind: Literal["classification", "regression"],
    seed: int = 0,
    start: LayeredModel | None = None,
) -> PldBertForSequenceClassification:
    """Returns a classifier of `labels` classes, or a regression with one label; pooler and classifier are initialised
    by (seed, name).

    `start`: the pre-trained model whose encoder and, if it has one, pooler is copied, and whose configuration is used.
    Without it the encoder has initial values too.
    """
    if (kind == "regression") != (labels == 1):
        raise ConfigError(
            Problem("a regression has 1 label, a classification more", path=("labels",), given=f"{kind} with {labels}")
        )
    config = config_of(spec) if start is None else copy.deepcopy(start.config)
    config.num_labels = labels
    config.problem_type = "regression" if kind == "regression" else "single_label_classification"
    model = PldBertForSequenceClassification(config)
    initialise(model, spec, seed)
    if start is not None:
        model.bert.load_state_dict(start.bert.state_dict())
        if start.pretrained_pooler is not None:
            model.pooler.load_state_dict(start.pretrained_pooler.state_dict())
    return model


def saved_class(folder: Path) -> type[LayeredModel]:
    """Returns the class as which this project saved a checkpoint; `PldBertForMaskedLM` for other checkpoints."""
    name = (checkpoint_config(folder).architectures or [""])[0]
    return {each.__name__: each for each in (PldBertForPreTraining, PldElectra)}.get(name, PldBertForMaskedLM)


def compile_blocks(
    model: LayeredModel, backend: str = "inductor", *, rows: bool = False, eager_masks: bool = False
) -> None:
    """Compiles each block in place: two graphs (without and with a scale) serve all blocks and plans of one batch
    shape.

    `eager_masks`: torch's eager kernels draw the dropout, not generated code. `rows`: plans are per sequence, so the
    number of rows changes from call to call, and graphs support any number. A model compiled as a whole would need a
    graph for each plan, and would fall back to eager mode after eight.
    """
    options = {"fallback_random": True} if eager_masks else None
    for block in model.blocks:
        block.compile(dynamic=rows, backend=backend, options=options)


def _known_to(folder: Path) -> dict[str, object]:
    config: PldBertConfig = checkpoint_config(folder)
    return {name: getattr(config, name) for name in _FROM_CHECKPOINT}


def _load(model: nn.Module, folder: Path) -> None:
    own = {name.split(".")[0] for name, _ in model.named_parameters()}
    state = {
        name: tensor
        for name, tensor in checkpoint_state(folder).items()
        if name.split(".")[0] in own or not name.startswith(HEADS)
    }
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise CheckpointError(f"{folder}: {error}") from error
    lost = [name for name in missing if name.startswith("bert.")]
    if lost or unexpected:
        raise CheckpointError(
            f"{folder}: not the architecture of the spec (missing {lost[:3]}, no place for {unexpected[:3]})"
        )
