"""What changes during a run: weights, moments, loss scale, counters; all of it goes into a checkpoint and comes back bit by bit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from pld_search.errors import CheckpointError, ConfigError, Problem
from pld_search.model.bert import PldBertForMaskedLM
from pld_search.model.build import compile_blocks, masked_lm
from pld_search.model.checkpoint import checkpoint_config, checkpoint_state
from pld_search.model.growth import with_layers
from pld_search.schedules.plan import Plan
from pld_search.training import checkpoint
from pld_search.training.checkpoint import Checkpoint
from pld_search.training.optimizer import adamw, refitted
from pld_search.training.precision import Numerics
from pld_search.training.setup import Setup, place_of
from pld_search.training.telemetry import Telemetry


@dataclass(slots=True)
class State:
    """A run in progress. `step` counts completed steps; `plan` says how the network runs at full depth after them."""

    model: PldBertForMaskedLM
    plan: Plan
    parameters: list[nn.Parameter]
    optimizer: torch.optim.AdamW
    numerics: Numerics
    telemetry: Telemetry
    compiled: bool = False
    step: int = 0

    def at_full_depth(self) -> PldBertForMaskedLM:
        """The model as it is evaluated, fine-tuned and stored now: with `rescale: evaluation` its configuration holds the p_l of `step`.

        With a stack that grows, full depth is the layers that exist.
        """
        self.model.config.full_depth = self.plan.evaluation(self.step)
        return self.model

    def refit(self, copied: Mapping[nn.Parameter, nn.Parameter]) -> None:
        """Take up the blocks that the model has now. `copied`: new parameters that begin with the moments of others."""
        self.parameters = trainable(self.model)
        self.optimizer = refitted(self.optimizer, self.parameters, copied)
        if self.compiled:
            compile_blocks(self.model, rows=self.plan.schedule.draw.per == "sequence")

    def save(self, root: Path, *, keep: int, held: Collection[int] = ()) -> Checkpoint:
        """Checkpoint everything after `step` steps. Raises CheckpointError."""
        training = {
            "step": self.step,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.numerics.state(),
            "telemetry": self.telemetry.state(),
        }
        return checkpoint.save(root, self.step, training, self._write_model, keep=keep, held=held)

    def _write_model(self, folder: Path) -> None:
        """What `save_pretrained` writes, without its progress bar."""
        config = self.at_full_depth().config
        config.architectures = [type(self.model).__name__]
        config.save_pretrained(folder)
        save_file({name: tensor.contiguous() for name, tensor in self.model.state_dict().items()}, folder / "model.safetensors", metadata={"format": "pt"})

    def restore(self, saved: Checkpoint) -> None:
        """Go on exactly where `save` was. Which blocks have moments depends on what was ever kept, and stays so."""
        training = saved.training()
        try:
            self._take_depth_of(saved)
            self.model.load_state_dict(checkpoint_state(saved.folder))
            self.optimizer.load_state_dict(training["optimizer"])
            self.numerics.restore(training["scaler"])
            self.telemetry.restore(training["telemetry"])
            self.step = int(training["step"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise CheckpointError(f"{saved.folder} is not a checkpoint of this run: {error}") from error

    def _take_depth_of(self, saved: Checkpoint) -> None:
        """As many blocks as the model had then: a stack that grows has more now, or fewer."""
        layers, expected = checkpoint_config(saved.folder).num_hidden_layers, self.plan.stack.after(saved.step)
        if layers != expected:
            raise ValueError(f"{layers} layers after {saved.step} steps, not {expected}")
        if layers != len(self.model.bert.encoder.blocks):
            with_layers(self.model, layers)
            self.refit({})


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that training changes, in the model's order."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def fresh(setup: Setup) -> State:
    """The state before the first step: initialised by the seed, or from the checkpoint the experiment names."""
    spec = setup.experiment.model
    start = None if spec.checkpoint is None else place_of(setup.execution, spec.checkpoint, "model.checkpoint")
    if start is not None:
        _check_scales(start, setup)
    first = spec.model_copy(update={"layers": setup.plan.stack.before(0)})
    model = masked_lm(first, setup.experiment.seed, start).to(setup.device).train()
    if setup.execution.compile:
        compile_blocks(model, rows=setup.plan.schedule.draw.per == "sequence")
    parameters = trainable(model)
    return State(
        model=model,
        plan=setup.plan,
        parameters=parameters,
        optimizer=adamw(parameters, setup.experiment.optimizer),
        numerics=Numerics(setup.precision, setup.device),
        telemetry=Telemetry(setup),
        compiled=setup.execution.compile,
    )


def _check_scales(start: Path, setup: Setup) -> None:
    """Weights that are only right when each residual is multiplied by its p must not be trained on as if they were whole."""
    if checkpoint_config(start).full_depth is not None and setup.experiment.schedule.rescale != "evaluation":
        rule = "the checkpoint was trained with `rescale: evaluation` and is evaluated with scaled residuals; only such a schedule can continue it"
        raise ConfigError(Problem(rule, ("schedule", "rescale"), allowed="evaluation", given=setup.experiment.schedule.rescale))
