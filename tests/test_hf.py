"""The callback for transformers' Trainer: steps, accumulation, resume, logs, and what it refuses."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from transformers import Trainer, TrainingArguments

from pld_search.costs.load_schedule import load_schedule
from pld_search.errors import AttachError, ConfigError
from pld_search.hf import LayerDrop, ignores_loss_arguments
from pld_search.schedules.plan import Plan
from tests.model.attach.architectures import ARCHITECTURES, Architecture
from tests.trainer import BATCH, LAYERS, SCHEDULE, STEPS, losses, tiny_bert, trainer

PLAN = Plan(load_schedule(SCHEDULE), 3, STEPS, LAYERS)


def watched(model: Any) -> list[list[bool]]:
    """For every pass of the model, which blocks were called."""
    passes: list[list[bool]] = []
    model.register_forward_pre_hook(lambda *_: passes.append([False] * LAYERS))
    for index, block in enumerate(model.bert.encoder.layer):
        block.register_forward_pre_hook(lambda *_, index=index: passes[-1].__setitem__(index, True))
    return passes


def run(
    out: Path, resume: Path | None = None, callback: LayerDrop | None = None, **changes: Any
) -> tuple[Trainer, list[list[bool]]]:
    made = trainer(out, callback or LayerDrop(SCHEDULE), **changes)
    passes = watched(made.model)
    made.train(resume_from_checkpoint=str(resume) if resume else None)
    return made, passes


def kept(steps: range, times: int = 1) -> list[list[bool]]:
    return [list(PLAN.gates(step, 0).keep) for step in steps for _ in range(times)]


def test_steps_follow_the_plan_and_are_logged(tmp_path: Path) -> None:
    done, passes = run(tmp_path)
    assert passes == kept(range(STEPS))
    assert not all(map(all, passes))
    rows = [row for row in done.state.log_history if "loss" in row]
    assert [row["drop/theta"] for row in rows] == [float(PLAN.schedule.theta(step, STEPS)) for step in range(STEPS)]
    assert [row["drop/layers_kept"] for row in rows] == [sum(PLAN.gates(step, 0).keep) for step in range(STEPS)]
    assert type(done.model.bert.encoder.layer).__name__ == "ModuleList"  # detached


def test_micro_batches_of_a_step_share_its_plan(tmp_path: Path) -> None:
    whole, _ = run(tmp_path / "whole")
    cut, passes = run(tmp_path / "cut", per_device_train_batch_size=BATCH // 2, gradient_accumulation_steps=2)
    assert passes == kept(range(STEPS), 2)
    assert losses(cut) == pytest.approx(losses(whole), abs=1e-4)


def test_each_micro_batch_its_own_group(tmp_path: Path) -> None:
    plan = Plan(load_schedule(SCHEDULE), 9, STEPS, LAYERS, 2)
    _, passes = run(
        tmp_path,
        callback=LayerDrop(SCHEDULE, groups=2, seed=9),
        per_device_train_batch_size=BATCH // 2,
        gradient_accumulation_steps=2,
    )
    assert passes == [list(plan.gates(step, group).keep) for step in range(STEPS) for group in (0, 1)]
    with pytest.raises(AttachError, match="groups=3"):
        run(tmp_path, callback=LayerDrop(SCHEDULE, groups=3), gradient_accumulation_steps=2)


def test_a_resume_in_the_middle_is_the_straight_run(tmp_path: Path) -> None:
    accumulated = {"per_device_train_batch_size": BATCH // 2, "gradient_accumulation_steps": 2}
    straight, whole = run(tmp_path, save_strategy="steps", save_steps=3, **accumulated)
    resumed, rest = run(tmp_path, tmp_path / "checkpoint-3", **accumulated)
    assert rest == whole[6:] == kept(range(3, STEPS), 2)
    assert losses(resumed) == losses(straight)
    with pytest.raises(AttachError, match="trained under another plan"):
        run(tmp_path, tmp_path / "checkpoint-3", callback=LayerDrop(SCHEDULE, seed=4), **accumulated)


def test_rows_in_a_trainer(tmp_path: Path) -> None:
    drawn = {**SCHEDULE, "draw": {"kind": "bernoulli", "per": "sequence", "unit": "layer", "strata": 4}}
    whole, _ = run(tmp_path / "whole", callback=LayerDrop(drawn))
    cut, _ = run(
        tmp_path / "cut",
        callback=LayerDrop(drawn),
        per_device_train_batch_size=BATCH // 2,
        gradient_accumulation_steps=2,
    )
    assert losses(cut) == pytest.approx(losses(whole), abs=1e-4)
    kept_mean = [row["drop/layers_kept"] for row in whole.state.log_history if "loss" in row]
    assert kept_mean == [row["drop/layers_kept"] for row in cut.state.log_history if "loss" in row]


def test_evaluation_runs_every_layer(tmp_path: Path) -> None:
    made = trainer(tmp_path, LayerDrop(SCHEDULE), eval_strategy="steps", eval_steps=4)
    passes = watched(made.model)
    made.train()
    evaluated = [ran for ran in passes if all(ran)]
    assert len(passes) > STEPS
    assert len(evaluated) >= len(passes) - STEPS


def test_an_inflated_loss_is_refused(tmp_path: Path) -> None:
    model = tiny_bert()
    del model.accepts_loss_kwargs
    with pytest.raises(AttachError, match=r"by 2 .*model\.accepts_loss_kwargs = False"):
        run(tmp_path, model=model, gradient_accumulation_steps=2)
    run(tmp_path, model=model)  # nothing is multiplied by 1


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_which_models_ignore_what_trainer_tells_them(architecture: Architecture) -> None:
    """Trainer tells the number of labels to every forward that takes it; a head that ignores it gives the same loss as
    without.
    """
    model, batch = architecture.build(), architecture.batch()
    takes = any(
        parameter.kind == inspect.Parameter.VAR_KEYWORD
        for parameter in inspect.signature(model.forward).parameters.values()
    )
    ignores = takes and bool(model(**batch).loss == model(**batch, num_items_in_batch=7).loss)
    assert ignores_loss_arguments(model) == ignores
    model.accepts_loss_kwargs = False
    assert not ignores_loss_arguments(model)


def test_a_compiled_model_is_refused(tmp_path: Path) -> None:
    made = trainer(tmp_path, LayerDrop(SCHEDULE))
    made.args.torch_compile = True
    with pytest.raises(AttachError, match="compile each block"):
        made.train()


def test_checkpointing_changes_nothing(tmp_path: Path) -> None:
    # before transformers 5.23
    name = (
        "activation_checkpointing"
        if hasattr(TrainingArguments, "activation_checkpointing")
        else "gradient_checkpointing"
    )
    with_it, passes = run(tmp_path / "with", **{name: True})
    assert passes == kept(range(STEPS))
    assert losses(with_it) == pytest.approx(losses(run(tmp_path / "without")[0]), abs=1e-5)


def test_schedules_in_every_form(tmp_path: Path) -> None:
    (tmp_path / "schedule.yaml").write_text("base: pld\nrescale: block\n")
    value = load_schedule("pld")
    for given, rescale in (
        (tmp_path / "schedule.yaml", None),
        (str(tmp_path / "schedule.yaml"), None),
        (value, "block"),
        ("pld", "none"),
    ):
        made = trainer(tmp_path, callback := LayerDrop(given, rescale=rescale), max_steps=1)
        made.train()
        assert callback.digest is not None
        assert LayerDrop.from_state(callback.state()).digest == callback.digest
    with pytest.raises(ConfigError, match="rescale='block'"):
        trainer(tmp_path, LayerDrop("pld")).train()
