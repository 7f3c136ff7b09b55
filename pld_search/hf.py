"""Layer dropping in transformers' `Trainer`: `Trainer(..., callbacks=[LayerDrop("schedule.yaml")])`.

Needs the extra `pld-search[hf]` (accelerate, which `Trainer` itself needs).
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState

from pld_search.costs.load_schedule import Source
from pld_search.errors import AttachError
from pld_search.model.attach.layer_drop import Drop, Drops, attach
from pld_search.model.attach.wrappers import PARALLEL
from pld_search.schedules.schedule import Schedule

_INFLATED = (
    "Trainer would multiply this model's loss and gradients by {times} (gradient accumulation x ranks): "
    "{model}.forward takes the loss arguments that Trainer gives it, and its head ignores them "
    "(huggingface/transformers#47688); set model.accepts_loss_kwargs = False before you build the Trainer"
)
_COMPILED = (
    "torch_compile=True compiles the model as a whole, whose graph would hold the plan of one step; "
    "compile each block: for block in STACK: block.compile()"
)
_ZERO3 = (
    "DeepSpeed's ZeRO-3 gathers the parameters of every block in a recorded order, and skipped blocks break it; "
    "use ZeRO-1 or 2, or FSDP2"
)


class LayerDrop(TrainerCallback, ExportableState):  # type: ignore[misc]  # transformers has no types for mypy here
    """A callback that attaches the model when training begins, opens each step, and detaches the model at the end.

    All micro-batches of an optimizer step share one plan. With `groups` equal to gradient_accumulation_steps each
    micro-batch has its own plan. A resume in the middle goes on with the same plan; another schedule, seed or length is
    refused. `drop/theta` and `drop/layers_kept` (the mean since the last log) are added to the logs. A tracker sees
    them when it comes after this callback: `report_to="none", callbacks=[LayerDrop(...), TensorBoardCallback()]`.

    Args:
        schedule, rescale, skipped, blocks, written_for: as for `pld_search.attach`.
        seed: of the plan; None: the `seed` of the TrainingArguments.
        groups: 1, or gradient_accumulation_steps.

    drop: the attached model's `Drop` while training runs, else None.
    """

    def __init__(
        self,
        schedule: Source,
        *,
        rescale: str | None = None,
        skipped: str | None = None,
        seed: int | None = None,
        groups: int = 1,
        blocks: str | Sequence[str] | None = None,
        written_for: int | None = None,
    ) -> None:
        written = (
            schedule.model_dump(mode="json")
            if isinstance(schedule, Schedule)
            else str(schedule)
            if isinstance(schedule, Path)
            else schedule
        )
        self._given: dict[str, Any] = {
            "schedule": written,
            "rescale": rescale,
            "skipped": skipped,
            "seed": seed,
            "groups": groups,
            "blocks": blocks if blocks is None or isinstance(blocks, str) else list(blocks),
            "written_for": written_for,
        }
        self.drop: Drop | Drops | None = None
        self.digest: str | None = None
        self._group, self._micro_batch, self._kept = 0, 0, list[float]()

    def state(self) -> dict[str, Any]:
        """Returns the state of this callback for a checkpoint of the Trainer."""
        return {"args": self._given, "attributes": {"digest": self.digest}}

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        _control: TrainerControl,
        model: nn.Module | None = None,
        **_: Any,
    ) -> None:
        """Attaches the schedule to the model; a resumed training goes on with the plan of its checkpoint. Raises
        AttachError.
        """
        self._end()
        if model is None:
            raise AttachError("Trainer gave no model to its callbacks")
        _check(args, model)
        self.drop = self._attached(args, state, model)
        self.digest = self.drop.digest()
        before = state.stateful_callbacks.get(type(self).__name__, {}) if state.global_step else {}
        told = before.get("attributes", {}).get("digest") if isinstance(before, dict) else None
        if told is not None and told != self.digest:
            self._end()
            raise AttachError(
                f"the checkpoint of step {state.global_step} was trained under another plan ({told[:15]}..., "
                f"now {self.digest[:15]}...): "
                "resume with the same schedule, seed, groups and max_steps"
            )

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_: Any) -> None:
        """Opens the first micro-batch of an update."""
        if self.drop is not None and state.global_step < self.drop.plan.total:
            self._micro_batch = 0
            self._open(self.drop, args, state.global_step)

    def on_substep_end(self, args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_: Any) -> None:
        """Closes a micro-batch of gradient accumulation and opens the next one. Raises AttachError when the forward
        bypassed the gates.
        """
        if self.drop is not None:
            self.drop.check()
            self.drop.close()
            self._micro_batch += 1
            self._open(self.drop, args, state.global_step)

    def on_pre_optimizer_step(
        self, _args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_: Any
    ) -> None:
        """Closes the last micro-batch of an update and notes how many layers it kept."""
        if self.drop is not None:
            self.drop.check()
            self.drop.close()
            self._kept.append(self.drop.layers_kept(state.global_step))

    def on_log(
        self,
        _args: TrainingArguments,
        state: TrainerState,
        _control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Adds `drop/theta` and `drop/layers_kept` (a mean over the updates since the last log) to the
        Trainer's logs.
        """
        if self.drop is None or logs is None or not self._kept:
            return
        own = {
            "drop/theta": self.drop.theta(max(state.global_step - 1, 0)),
            "drop/layers_kept": sum(self._kept) / len(self._kept),
        }
        self._kept.clear()
        logs.update(own)
        if state.log_history:
            state.log_history[-1].update(own)

    def on_train_end(self, _args: TrainingArguments, _state: TrainerState, _control: TrainerControl, **_: Any) -> None:
        """Detaches the schedule and leaves the model as it was."""
        self._end()

    def _end(self) -> None:
        if self.drop is not None:
            self.drop.close()
            self.drop.detach()
        self.drop = None
        self._kept.clear()

    def _attached(self, args: TrainingArguments, state: TrainerState, model: nn.Module) -> Drop | Drops:
        given = dict(self._given)
        groups, seed = given.pop("groups"), given.pop("seed")
        if groups not in (1, args.gradient_accumulation_steps):
            raise AttachError(
                f"groups={groups}: it is 1, or gradient_accumulation_steps, "
                f"{args.gradient_accumulation_steps}, so that each micro-batch is a group"
            )
        sequences = _global_micro_batch(args) * (args.gradient_accumulation_steps // groups)
        place = {"steps": state.max_steps, "first_step": state.global_step, "groups": groups, "sequences": sequences}
        found: Drop | Drops = attach(
            model, given.pop("schedule"), seed=args.seed if seed is None else seed, **place, **given
        )
        return found

    def _open(self, drop: Drop | Drops, args: TrainingArguments, step: int) -> None:
        """Opens micro-batch j of rank r: sequences (j ranks + r) B .. of the step's batch, with B sequences a rank."""
        own, group = _global_micro_batch(args), self._micro_batch if drop.plan.groups > 1 else 0
        before = 0 if drop.plan.groups > 1 else self._micro_batch * own
        drop.open(step, group, before + args.process_index * args.train_batch_size)


def _global_micro_batch(args: TrainingArguments) -> int:
    return int(args.train_batch_size * args.world_size)


def _check(args: TrainingArguments, model: nn.Module) -> None:
    """Raises AttachError for settings of a Trainer that cannot work or that would change the loss."""
    if args.torch_compile:
        raise AttachError(_COMPILED)
    if args.n_gpu > 1:
        raise AttachError(PARALLEL)
    deepspeed = getattr(args, "hf_deepspeed_config", None)
    if deepspeed is not None and deepspeed.is_zero3():
        raise AttachError(_ZERO3)
    times = args.gradient_accumulation_steps * (args.world_size if args.average_tokens_across_devices else 1)
    if times > 1 and ignores_loss_arguments(model):
        raise AttachError(_INFLATED.format(times=times, model=type(model).__name__))


def ignores_loss_arguments(model: nn.Module) -> bool:
    """Whether Trainer assumes that the model divides by the given number of labels while the model ignores it."""
    forward = type(model).forward
    if hasattr(model, "accepts_loss_kwargs"):
        return False
    if not any(
        parameter.kind == inspect.Parameter.VAR_KEYWORD for parameter in inspect.signature(forward).parameters.values()
    ):
        return False
    try:
        source = inspect.getsource(inspect.unwrap(forward))
    except (OSError, TypeError):
        return False
    return "loss_function(" not in source and "num_items_in_batch" not in source
