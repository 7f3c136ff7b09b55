"""The changing part of a run: weights, moments, loss scale, counters. A checkpoint holds all of it and restores it bit
by bit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pld_search.errors import CheckpointError, ConfigError, Problem
from pld_search.model.activation_checkpointing import every
from pld_search.model.build_model import compile_blocks, pretraining_model
from pld_search.model.deepen import with_layers
from pld_search.model.layered_model import LayeredModel
from pld_search.model.pretrained import checkpoint_config, checkpoint_state
from pld_search.model.stored_model import write_model
from pld_search.schedules.plan import Plan
from pld_search.specs.execution import Execution
from pld_search.training import checkpoint
from pld_search.training.checkpoint import Checkpoint
from pld_search.training.optimizer import optimizer_of, refitted, trainable
from pld_search.training.parallel import optimizer_state
from pld_search.training.parallel.rank_group import ALONE, Ranks
from pld_search.training.parallel.sharding import settle, share
from pld_search.training.parallel.shared_tensors import whole
from pld_search.training.parallel.whole_weights import load_weights, plain_copy, whole_weights
from pld_search.training.precision import Numerics
from pld_search.training.setup import Setup, place_of
from pld_search.training.telemetry import Telemetry


@dataclass(slots=True)
class State:
    """A run in progress. `step` counts completed steps; `plan` gives the full-depth network after them."""

    model: LayeredModel
    plan: Plan
    parameters: list[nn.Parameter]
    optimizer: torch.optim.Optimizer
    numerics: Numerics
    telemetry: Telemetry
    execution: Execution
    ranks: Ranks = ALONE
    step: int = 0
    eager_masks: bool = False

    def at_full_depth(self) -> LayeredModel:
        """Returns the model as it is evaluated, fine-tuned and stored after `step` steps: with `rescale: evaluation`
        its configuration holds the p_l of `step`.

        With a stack that grows, full depth means the layers that exist.
        """
        self.model.full_depth = self.plan.evaluation(self.step)
        return self.model

    def whole(self) -> LayeredModel:
        """Returns `at_full_depth` as a model that one process can use alone: a copy if ranks share it, and then the
        call is a collective.
        """
        return plain_copy(self.at_full_depth(), self.ranks)

    def replace(self, model: LayeredModel) -> None:
        """Continues with another plain model of these ranks; its moments are not set yet."""
        self.model = _as_executed(model, self.execution, self.plan, self.ranks, self.eager_masks)
        self.parameters = trainable(self.model)
        self.optimizer = refitted(self.optimizer, self.model, {})

    @property
    def named(self) -> dict[str, nn.Parameter]:
        """The parameters that training changes by name, in the form that the optimizer has."""
        settle(self.model)
        return {name: parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad}

    @contextmanager
    def as_one_process(self) -> Iterator[None]:
        """Makes model and moments plain and whole on every rank inside the context, where all ranks change them in the
        same way; afterwards the ranks share them again.
        """
        if self.ranks.mesh is None:
            yield
            return
        shared, old, plain = self.named, self.optimizer, plain_copy(self.model, self.ranks)
        self.model, self.parameters = plain, trainable(plain)
        self.optimizer = refitted(old, plain, {})
        for name, parameter in plain.named_parameters():
            if shared[name] in old.state:
                self.optimizer.state[parameter] = {
                    kind: whole(value) for kind, value in old.state[shared[name]].items()
                }
        yield
        changed = {
            name: self.optimizer.state[parameter]
            for name, parameter in self.model.named_parameters()
            if parameter in self.optimizer.state
        }
        self.replace(self.model)
        optimizer_state.give(self.optimizer, self.named, changed)

    def refit(self, copied: Mapping[nn.Parameter, nn.Parameter]) -> None:
        """Adopts the model's present blocks. `copied`: new parameters that start with the moments of other ones."""
        self.parameters = trainable(self.model)
        self.optimizer = refitted(self.optimizer, self.model, copied)
        if self.execution.compile:
            _compile(self.model, self.plan, self.eager_masks)

    def save(self, root: Path, *, keep: int, held: Collection[int] = ()) -> Checkpoint:
        """Writes a checkpoint of everything after `step` steps. Raises CheckpointError on every rank."""
        training = {"step": self.step, "scaler": self.numerics.state(), "telemetry": self.telemetry.state()}
        weights = whole_weights(self.model, self.ranks)
        if self.ranks.group is None:
            training["optimizer"] = self.optimizer.state_dict()
            return checkpoint.save(
                root, self.step, training, lambda folder: self._write_model(folder, weights), keep=keep, held=held
            )
        with optimizer_state.written_beside(root, self.step, self.optimizer, self.named, self.ranks) as parts:

            def write_model(folder: Path) -> None:
                self._write_model(folder, weights)
                parts.rename(folder / optimizer_state.FOLDER)

            return self.ranks.first_does(
                lambda: checkpoint.save(root, self.step, training, write_model, keep=keep, held=held)
            )

    def _write_model(self, folder: Path, weights: Mapping[str, Tensor]) -> None:
        """Writes the network as it runs at full depth after `step` steps."""
        model = self.at_full_depth()
        write_model(folder, model.plain_class, model.config, weights)

    def restore(self, saved: Checkpoint) -> None:
        """Continues exactly at the state of `save`, including which blocks have moments.

        Also loads checkpoints of one process or of another number of ranks.
        """
        training = saved.training()
        try:
            self._take_depth_of(saved)
            load_weights(self.model, checkpoint_state(saved.folder))
            if "optimizer" in training:
                optimizer_state.take_over(self.optimizer, self.named, training["optimizer"])
            else:
                optimizer_state.read(
                    saved.folder / optimizer_state.FOLDER, self.optimizer, self.named, self.ranks.group
                )
            self.numerics.restore(training["scaler"])
            self.telemetry.restore(training["telemetry"])
            self.step = int(training["step"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise CheckpointError(f"{saved.folder} is not a checkpoint of this run: {error}") from error

    def _take_depth_of(self, saved: Checkpoint) -> None:
        """Gives the model as many blocks as it had at the checkpoint: a stack that grows can have more or fewer now."""
        layers, expected = checkpoint_config(saved.folder).num_hidden_layers, self.plan.stack.after(saved.step)
        if layers != expected:
            raise ValueError(f"{layers} layers after {saved.step} steps, not {expected}")
        if layers != len(self.model.blocks):
            plain = plain_copy(self.model, self.ranks)
            with_layers(plain, layers)
            self.replace(plain)


def fresh(setup: Setup) -> State:
    """Returns the state before the first step: initialised by the seed, or from the experiment's checkpoint."""
    spec = setup.experiment.model
    start = None if spec.checkpoint is None else place_of(setup.execution, spec.checkpoint, "model.checkpoint")
    if start is not None:
        _check_scales(start, setup)
    settings = setup.objective.model_settings(spec)
    first = spec.model_copy(update={"layers": setup.plan.stack.before(0)})
    model = (
        pretraining_model(setup.objective.model_class, first, setup.experiment.seed, start, **settings)
        .to(setup.device)
        .train()
    )
    eager_masks = setup.mask_fault is not None
    model = _as_executed(model, setup.execution, setup.plan, setup.ranks, eager_masks)
    parameters = trainable(model)
    return State(
        model=model,
        plan=setup.plan,
        parameters=parameters,
        optimizer=optimizer_of(model, setup.experiment.optimizer),
        numerics=Numerics(setup.precision, setup.device),
        telemetry=Telemetry(setup),
        execution=setup.execution,
        ranks=setup.ranks,
        eager_masks=eager_masks,
    )


def _as_executed(
    model: LayeredModel, execution: Execution, plan: Plan, ranks: Ranks, eager_masks: bool
) -> LayeredModel:
    """Returns the model as its steps run it: blocks recomputed, compiled and shared as the execution says, in this
    order; a unit of the ranks encloses the other two.
    """
    model.recompute(every(execution.activation_checkpointing))
    if execution.compile:
        _compile(model, plan, eager_masks)
    return share(model, execution.mode, ranks)


def _compile(model: LayeredModel, plan: Plan, eager_masks: bool) -> None:
    compile_blocks(model, rows=plan.schedule.draw.per == "sequence", eager_masks=eager_masks)


def _check_scales(start: Path, setup: Setup) -> None:
    """Raises ConfigError for weights that are only correct with each residual multiplied by its p, unless the schedule
    continues this.
    """
    if checkpoint_config(start).full_depth is not None and setup.experiment.schedule.rescale != "evaluation":
        rule = (
            "the checkpoint was trained with `rescale: evaluation` and is evaluated with scaled residuals; only "
            "such a schedule can continue it"
        )
        raise ConfigError(
            Problem(rule, ("schedule", "rescale"), allowed="evaluation", given=setup.experiment.schedule.rescale)
        )
