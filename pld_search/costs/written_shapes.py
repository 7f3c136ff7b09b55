"""The shapes of an experiment as a user writes it, before anything is prepared: the input of a forecast of FLOPs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from pld_search.errors import ConfigError, Position, Problem
from pld_search.frozen import Spec
from pld_search.specs.build_experiment import NOTHING, assumed_vocabulary, new_model
from pld_search.specs.experiment import Batch, Data, Experiment, Model
from pld_search.specs.growth import Growth, unsuited
from pld_search.specs.pretraining import Pretraining, WrittenPretraining
from pld_search.specs.problems_in_tree import problems_at
from pld_search.specs.spec_files import study_file
from pld_search.specs.template import DataTemplate, ModelTemplate
from pld_search.specs.tree_changes import expand
from pld_search.specs.validate import check
from pld_search.specs.written_schedules import generator_written_out
from pld_search.specs.yaml_io import Map, load_file, mark_at


class Shapes(NamedTuple):
    """The inputs of a run's FLOPs, besides schedule and steps."""

    model: Model
    data: Data
    batch: Batch
    growth: Growth | None
    pretraining: Pretraining | None = None


class _Written(Spec):
    """The blocks of an experiment that a forecast reads."""

    model: Annotated[ModelTemplate, Field(description="the architecture")]
    data: DataTemplate
    batch: Batch
    growth: Growth | None = None
    pretraining: WrittenPretraining = None


def shapes_of(experiment: Experiment | Mapping[str, Any] | str | Path) -> Shapes:
    """Returns the shapes of an experiment, given as a value, a mapping of its keys, a file, or the name of a shipped
    study.

    Only model, data, batch, growth and pretraining of a mapping or a file are read. The vocabulary is the size of the
    tokenizer to be trained, else BERT's. Raises ConfigError with every problem at its place.
    """
    if isinstance(experiment, Experiment):
        return Shapes(experiment.model, experiment.data, experiment.batch, experiment.growth, experiment.pretraining)
    tree = expand(
        dict(experiment) if isinstance(experiment, Mapping) else load_file(study_file(experiment, ("experiment",)))
    )
    block, path = (tree["experiment"], ("experiment",)) if isinstance(tree.get("experiment"), dict) else (tree, ())
    read = _read(block)
    if isinstance(read, Map):
        read = generator_written_out(read, _folder_of)
    written = check(_Written, read, path)
    reasons = unsuited(written.growth, written.model.layers, written.model.norm)
    if reasons:
        raise ConfigError(problems_at(block, reasons))
    return Shapes(
        new_model(written.model, assumed_vocabulary(written.data)),
        _data(written.data),
        written.batch,
        written.growth,
        written.pretraining,
    )


def _folder_of(mark: Position | None) -> Path:
    return Path() if mark is None else Path(mark.file).parent


def _read(block: Any) -> Any:
    """Returns the keys that a forecast reads. Raises ConfigError for a checkpoint, since its architecture is stored
    with its weights.
    """
    model = block.get("model")
    if isinstance(model, dict) and "from" in model:
        rule = (
            "the architecture of a checkpoint is not known before it is read; state the model, or use `pld-search plan`"
        )
        raise ConfigError(Problem(rule, ("model", "from"), mark_at(block, ("model", "from")), given=str(model["from"])))
    if not isinstance(block, Map):
        return {key: value for key, value in block.items() if key in _Written.model_fields}
    found = Map(mark=block.mark)
    for key in block:
        if key in _Written.model_fields:
            found.put(key, block[key], block.marks_of(key))
    return found


def _data(written: DataTemplate) -> Data:
    return Data(corpus=NOTHING, tokenizer=NOTHING, length=written.length, masking=written.masking)
