"""Templates, and the Experiments built from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pld_search.errors import ConfigError
from pld_search.schedules.schedule import Schedule
from pld_search.specs.build_experiment import build, fixed_precision, stand_in
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment, Model
from pld_search.specs.prepared_data import Prepared, PreparedCheckpoint, PreparedCorpus
from pld_search.specs.spec_files import read_execution, read_experiment, write_execution, write_experiment
from pld_search.specs.template import DataTemplate, EvaluationTemplate, ExperimentTemplate, HubSource, TextSource
from pld_search.specs.validate import check
from pld_search.specs.written_schedules import schedule_tree
from pld_search.specs.yaml_io import load
from tests.report.studies import PLD as example_schedule
from tests.report.studies import experiment as example

TEXT = """\
model: {layers: 4, hidden: 32, heads: 4}
data: {train: demo, tokenizer: {train: wordpiece, vocabulary: 512}, length: 32}
batch: {sequences: 8}
optimizer: {lr: 1e-3}
precision: fp32
schedule: pld
"""
PLD = check(Schedule, schedule_tree("pld"))


def template(text: str = TEXT) -> ExperimentTemplate:
    return check(ExperimentTemplate, load(text, "f"))


def built(text: str = TEXT, **more: Any) -> Experiment:
    written = template(text)
    return build(written, PLD, **{"steps": 100, "seed": 0, "prepared": stand_in(written), **more})


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        template(text)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("train", "cls"),
    [
        ("{text: [a/*.txt, b.jsonl.gz], field: abstract}", TextSource),
        ("{hub: org/name, split: train, field: text, revision: abc}", HubSource),
    ],
)
def test_sources(train: str, cls: type) -> None:
    assert isinstance(template(TEXT.replace("train: demo", f"train: {train}")).data.train, cls)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "train: demo",
            "train: demp",
            "data.train: the training text is `demo`, or a mapping: {text: [GLOB, ...]} for files, {hub: "
            "ORG/NAME} for a dataset of the hub; given: demp",
        ),
        ("train: demo", "train: {text: []}", "data.train.text: must not be empty"),
        ("train: demo", "train: {text: a}", "data.train.text: needs a list; given: a"),
        ("train: demo", "train: {hub: name}", "data.train.hub: the value has the wrong form"),
        (
            "length: 32",
            "length: 32, validation: 60 %, test: 50 %",
            "data: validation and test are shares above 0 that leave documents to train on",
        ),
        ("length: 32", "length: 32, validation: 0", "data: validation and test are shares above 0"),
        (
            "length: 32",
            "length: 1024",
            "data.length: length (1024) exceeds model.max_length (512) of learned positions",
        ),
        ("heads: 4", "heads: 5", "model: hidden (32) must be a multiple of heads (5)"),
        (
            "model: {layers: 4, hidden: 32, heads: 4}",
            "model: {from: x, layers: 4}",
            "model.layers: the architecture is that of the checkpoint",
        ),
        (
            "precision: fp32",
            "precision: fp8",
            "precision: this word is not allowed here; allowed: fp32 | bf16 | fp16 | auto; given: fp8",
        ),
    ],
)
def test_bad_templates(old: str, new: str, words: str) -> None:
    (problem,) = problems(TEXT.replace(old, new))
    assert words in problem


def test_tasks_by_name_and_by_place() -> None:
    evaluation = check(EvaluationTemplate, load("tasks: [rte, {mine: ./tasks/mine}, {cola: ./CoLA}]\n", "f"))
    assert evaluation.named_tasks == (("rte", None), ("mine", "./tasks/mine"), ("cola", "./CoLA"))
    assert check(EvaluationTemplate, {"tasks": "demo"}).named_tasks == ()


@pytest.mark.parametrize(
    "tasks", ["[rte, rte]", "[rte, {rte: x}]", "[{a: x, b: y}]", "[{a: 1}]", "[3]", "rte", "[mine]"]
)
def test_bad_tasks(tasks: str) -> None:
    with pytest.raises(ConfigError, match=r"f:1:\d+: tasks"):
        check(EvaluationTemplate, load(f"tasks: {tasks}\n", "f"))


def test_an_experiment_has_digests_where_the_template_has_names() -> None:
    experiment = built()
    assert experiment.model == Model(layers=4, hidden=32, heads=4, intermediate=128, vocabulary=512)
    assert experiment.data.corpus.startswith("sha256:")
    assert (experiment.steps, experiment.seed, experiment.precision) == (100, 0, "fp32")


def test_auto_is_fixed_before_and_not_here() -> None:
    with pytest.raises(ConfigError, match="the precision is fixed when a study is created"):
        built(TEXT.replace("fp32", "auto"))
    assert [fixed_precision("auto", kind) for kind in ("cpu", "cuda")] == ["fp32", "fp16"]
    assert fixed_precision("bf16", "cpu") == "bf16"


def test_a_checkpoint_brings_its_architecture() -> None:
    digest = "sha256:" + "1" * 64
    model = Model(layers=2, hidden=16, heads=2, intermediate=64, vocabulary=512, norm="post", checkpoint=digest)
    text = TEXT.replace("model: {layers: 4, hidden: 32, heads: 4}", "model: {from: ./there}")
    corpus = PreparedCorpus(corpus=digest, tokenizer=digest, folder="/c", vocabulary=512, statistics={})
    prepared = Prepared(corpus=corpus, checkpoint=PreparedCheckpoint(model=model, folder="/m"))
    assert built(text, prepared=prepared).model == model
    with pytest.raises(ConfigError, match="the checkpoint was not prepared"):
        built(text)
    other = prepared.model_copy(update={"corpus": corpus.model_copy(update={"vocabulary": 513})})
    with pytest.raises(ConfigError, match="the checkpoint has 512 token embeddings, the tokenizer 513 pieces"):
        built(text, prepared=other)
    assert (
        Prepared(
            corpus=corpus.model_copy(update={"corpus": "sha256:" + "2" * 64}), checkpoint=prepared.checkpoint
        ).folders[digest]
        == "/m"
    )


def test_a_prepared_checkpoint_states_its_digest() -> None:
    with pytest.raises(ValueError, match="states the digest"):
        PreparedCheckpoint(model=Model(layers=1, hidden=2, heads=1, intermediate=8, vocabulary=9), folder="/m")


def test_files_read_back_equal(tmp_path: Path) -> None:
    experiment, execution = built(), Execution(threads=2, folders={"sha256:" + "0" * 64: "/data/no"})
    write_experiment(tmp_path / "experiment.yaml", experiment)
    write_execution(tmp_path / "execution.yaml", execution)
    assert read_experiment(tmp_path / "experiment.yaml") == experiment
    assert read_experiment(tmp_path / "experiment.yaml").digest == experiment.digest
    assert read_execution(tmp_path / "execution.yaml") == execution
    assert {path.name for path in tmp_path.iterdir()} == {"experiment.yaml", "execution.yaml"}


def test_a_written_experiment_is_checked_like_any_file(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    write_experiment(file, built())
    file.write_text(file.read_text().replace("steps: 100", "steps: 0"))
    with pytest.raises(ConfigError, match=r"experiment.yaml:\d+:8: steps: out of range; allowed: >= 1; given: 0"):
        read_experiment(file)


_DIGEST_FIELDS: list[tuple[str, str]] = [
    ("layers: 4", "layers: 5"),
    ("hidden: 32", "hidden: 36"),
    ("heads: 4", "heads: 2"),
    ("heads: 4}", "heads: 4, intermediate: 100}"),
    ("heads: 4}", "heads: 4, norm: post}"),
    ("heads: 4}", "heads: 4, positions: alibi}"),
    ("heads: 4}", "heads: 4, max_length: 64}"),
    ("heads: 4}", "heads: 4, dropout: 0.2}"),
    ("heads: 4}", "heads: 4, attention_dropout: 0.2}"),
    ("heads: 4}", "heads: 4, embedding_std: 0.1}"),
    ("heads: 4}", "heads: 4, init_std: 0.1}"),
    ("vocabulary: 512", "vocabulary: 513"),
    ("length: 32", "length: 16"),
    ("length: 32", "length: 32, masking: {rate: 0.2}"),
    ("sequences: 8", "sequences: 4"),
    ("sequences: 8", "sequences: 8, groups: 2"),
    ("lr: 1e-3", "lr: 2e-3"),
    ("lr: 1e-3", "lr: 1e-3, shape: wsd"),
    ("lr: 1e-3", "lr: 1e-3, shape: exponential, rate: 0.99"),
    ("lr: 1e-3", "lr: 1e-3, decay: 10 %"),
    ("lr: 1e-3", "lr: 1e-3, warmup: 3 %"),
    ("lr: 1e-3", "lr: 1e-3, weight_decay: 0"),
    ("lr: 1e-3", "lr: 1e-3, clip: 2"),
    ("lr: 1e-3", "lr: 1e-3, beta1: 0.8"),
    ("lr: 1e-3", "lr: 1e-3, beta2: 0.8"),
    ("lr: 1e-3", "lr: 1e-3, epsilon: 1e-7"),
    ("precision: fp32", "precision: bf16"),
    ("precision: fp32", "precision: fp32\nvalidation: {every: 20 %}"),
    ("precision: fp32", "precision: fp32\nvalidation: {sequences: 9}"),
    ("precision: fp32", "precision: fp32\ndivergence: {spike: 9}"),
    ("precision: fp32", "precision: fp32\ndivergence: {chance: 9 %}"),
    ("precision: fp32", "precision: fp32\non_divergence: continue_in_fp32"),
    ("precision: fp32", "precision: fp32\non_divergence: lower_lr"),
    ("precision: fp32", "precision: fp32\non_divergence: lower_lr\ndivergence: {lr_factor: 0.3}"),
    ("precision: fp32", "precision: fp32\non_divergence: lower_lr\ndivergence: {recoveries: 2}"),
    ("precision: fp32", "precision: fp32\nevaluation: {seeds: 2}"),
    ("precision: fp32", "precision: fp32\nevaluation: {lr: 1e-3}"),
    ("precision: fp32", "precision: fp32\nevaluation: {epochs: 1}"),
    ("precision: fp32", "precision: fp32\nevaluation: {batch: 8}"),
    ("precision: fp32", "precision: fp32\nevaluation: {length: 64}"),
]


@pytest.mark.parametrize(("old", "new"), _DIGEST_FIELDS)
def test_no_written_key_is_dead(old: str, new: str) -> None:
    assert old in TEXT
    assert built(TEXT.replace(old, new)).digest != built().digest


def test_seed_and_texts_are_not_in_the_digest() -> None:
    one, other = built(), built(seed=7)
    assert one.digest == other.digest
    assert (
        one.model_copy(update={"schedule": one.schedule.model_copy(update={"name": "x", "about": "y"})}).digest
        == one.digest
    )


def test_every_field_of_the_data_template_is_written_somewhere() -> None:
    assert set(DataTemplate.model_fields) == {
        "train",
        "validation",
        "test",
        "document",
        "tokenizer",
        "length",
        "masking",
    }


def test_keys_added_since_change_no_digest_of_those_without_them() -> None:
    """The identity of runs on disk: as it was before `rate` was a key."""
    assert example(example_schedule).digest == "sha256:a977ae48211739be5d6e0969f5f63943e463b504da72d93101ab7ddaabb4df18"
