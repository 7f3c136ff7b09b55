"""`pld_search.attach`: layer dropping in a user's own training script, for any model with a stack of residual
blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, overload

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from pld_search.costs.load_schedule import Source
from pld_search.errors import AttachError
from pld_search.frozen import digest_of
from pld_search.model.attach.check_blocks import check_blocks
from pld_search.model.attach.find_blocks import Stack, find_stack
from pld_search.model.attach.gated_stack import close_stack, open_stack
from pld_search.model.attach.open_pass import Passes
from pld_search.model.attach.recorded_outputs import check_recorded
from pld_search.model.attach.same_plan import agree
from pld_search.model.attach.stack_pass import Share
from pld_search.model.attach.stack_schedule import attached_schedule
from pld_search.model.attach.wrappers import COMPILED, AttachedSurroundings, unwrapped
from pld_search.schedules.hash_words import key_of
from pld_search.schedules.micro_batch_gates import executed
from pld_search.schedules.plan import Plan


class Drop:
    """A model that is attached to a schedule; `attach` creates it.

    plan: the layers that every step keeps (schedules/plan.py). path: the path of the blocks in the model. completed:
    the number of completed steps, 0 .. plan.total; evaluation under `rescale: evaluation` multiplies by the keep
    probabilities of that step.
    """

    def __init__(self, model: nn.Module, path: str, stack: Stack, plan: Plan, first_step: int) -> None:
        self.plan, self.path, self.completed = plan, path, first_step
        self._stack: Stack | None = stack
        self._first_step, self._layers, self._agreed = first_step, len(stack), False
        self._passes = Passes(AttachedSurroundings(model, path, next(stack.children())))
        open_stack(path, stack, self._passes)
        self._hook: RemovableHandle = model.register_forward_hook(_OutputCheck(self._passes, len(stack)))
        self._set_full_depth()

    def __repr__(self) -> str:
        """Returns the path of the blocks, the name of the schedule and the completed steps in one line."""
        if self._stack is None:
            return f"<drop: detached from {self.path}>"
        name, total = self.plan.schedule.name or "schedule", self.plan.total
        return f"<drop: {self.path}, {self._layers} blocks under {name}, {self.completed:,} of {total:,} steps>"

    @contextmanager
    def step(self, step: int, group: int = 0, first: int = 0) -> Iterator[None]:
        """Runs training passes under the gates of one group of one step. The backward pass may be inside the context or
        after it.

        Args:
            step: the optimizer step, `first_step` .. steps - 1; equal for all micro-batches of a step.
            group: 0 .. groups - 1, the part of the step's batch that shares a draw.
            first: for `draw.per: sequence`, the index in the group at which the batch begins, in sequences.

        The first call compares the plan and the step over all ranks, before any forward pass. Raises AttachError for a
        step outside the run, a step inside another step, ranks that disagree, a model that was compiled as a whole, and
        a step in which no training pass reached the blocks (then another model ran, perhaps a copy).
        """
        self.open(step, group, first)
        try:
            yield
            self.check()
        finally:
            self.close()

    def open(self, step: int, group: int = 0, first: int = 0) -> None:
        """Begins a step, for trainers with callbacks at both ends; `check` and `close` end it."""
        if self._stack is None:
            raise AttachError("this model was detached")
        if self._passes.step is not None:
            raise AttachError(f"step {step} begins inside another step")
        if not (self._first_step <= step < self.plan.total and 0 <= group < self.plan.groups):
            raise AttachError(
                f"step {step}, group {group}: this run has steps {self._first_step} .. {self.plan.total - 1} "
                f"and groups 0 .. {self.plan.groups - 1} "
                "(to resume a run, use attach(..., first_step=N))"
            )
        if not self._agreed:
            agree(self.plan, step)
            self._agreed = True
        gates = self.plan.at(step, group)
        self._passes.open(Share(gates, first, self.plan.group_size(step), self.plan.schedule.draw.strata))
        if step + 1 > self.completed:
            self.completed = step + 1
            self._set_full_depth()

    def check(self) -> None:
        """Raises AttachError if the gates of the step were not followed; called before its end."""
        if self._passes.compiled:
            raise AttachError(COMPILED)
        if self._passes.last is None:
            raise AttachError(
                f"a step ended, and no training pass came through {self.path} of the model that was attached: "
                "another model ran (a copy, or one that a compiler holds), or it was in evaluation mode"
            )

    def close(self) -> None:
        """Ends the step."""
        self._passes.close()

    def theta(self, step: int) -> float:
        """Returns the keep rate of a step, 0 .. 1."""
        return float(self.plan.schedule.theta(step, self.plan.total))

    def layers_kept(self, step: int) -> float:
        """Returns the number of blocks that run at a step, 0 .. layers: the mean over its groups and, for draws per
        sequence, over the sequences.
        """
        sequences = self.plan.group_size(step) or 1
        groups = [self.plan.at(step, group) for group in range(self.plan.groups)]
        return executed(groups, sequences).attention / (sequences * len(groups))

    def detach(self) -> None:
        """Restores the model. A second call does nothing."""
        if self._stack is not None:
            self._hook.remove()
            close_stack(self._stack)
            self._stack = None

    def _set_full_depth(self) -> None:
        gates = self.plan.evaluation(self.completed)
        self._passes.full_depth = None if gates is None else Share(gates)

    def digest(self) -> str:
        """Returns the digest of this run's plan."""
        return self.plan.digest()


class _OutputCheck:
    """A forward hook on the model: inside a step it checks recorded outputs, and outside it warns of a training pass.
    In a copy or a pickle of the model it does nothing, because copies follow no step.
    """

    def __init__(self, passes: Passes | None, layers: int) -> None:
        self._passes, self._layers = passes, layers

    def __call__(self, model: nn.Module, _args: Any, output: Any) -> None:
        if self._passes is None or torch.compiler.is_compiling():
            return
        self._passes.ended(model.training)
        if self._passes.last is not None:
            check_recorded(output, self._passes.last, self._layers)

    def __reduce__(self) -> tuple[Any, ...]:
        return _OutputCheck, (None, self._layers)


class Drops:
    """Several stacks of one model, for instance of an encoder and a decoder, under one schedule; `attach(blocks=[...])`
    creates it.

    stacks: one `Drop` for each, in the order given. Every stack has its own plan with its own depth and its own draws;
    `plan` is the plan of the first one.
    """

    def __init__(self, stacks: Sequence[Drop]) -> None:
        self.stacks = tuple(stacks)
        self.plan = self.stacks[0].plan

    @property
    def completed(self) -> int:
        """The number of completed steps."""
        return self.stacks[0].completed

    @contextmanager
    def step(self, step: int, group: int = 0, first: int = 0) -> Iterator[None]:
        """Runs `Drop.step` for every stack."""
        self.open(step, group, first)
        try:
            yield
            self.check()
        finally:
            self.close()

    def open(self, step: int, group: int = 0, first: int = 0) -> None:
        """Begins a step in every stack."""
        for stack in self.stacks:
            stack.open(step, group, first)

    def check(self) -> None:
        """Raises AttachError if the gates of a stack were not followed; called before the end of a step."""
        for stack in self.stacks:
            stack.check()

    def close(self) -> None:
        """Ends the step in every stack."""
        for stack in self.stacks:
            stack.close()

    def theta(self, step: int) -> float:
        """Returns the keep rate of a step, 0 .. 1."""
        return self.stacks[0].theta(step)

    def layers_kept(self, step: int) -> float:
        """Returns the number of blocks that run at a step, over all stacks."""
        return sum(stack.layers_kept(step) for stack in self.stacks)

    def detach(self) -> None:
        """Restores the model. A second call does nothing."""
        for stack in self.stacks:
            stack.detach()

    def digest(self) -> str:
        """Returns the digest of this run's plans."""
        return digest_of([stack.digest() for stack in self.stacks])


@overload
def attach(
    model: nn.Module,
    schedule: Source,
    *,
    steps: int,
    rescale: str | None = None,
    skipped: str | None = None,
    seed: int = 0,
    groups: int = 1,
    sequences: int | None = None,
    first_step: int = 0,
    blocks: str | None = None,
    written_for: int | None = None,
) -> Drop: ...
@overload
def attach(
    model: nn.Module,
    schedule: Source,
    *,
    steps: int,
    rescale: str | None = None,
    skipped: str | None = None,
    seed: int = 0,
    groups: int = 1,
    sequences: int | None = None,
    first_step: int = 0,
    blocks: Sequence[str],
    written_for: int | None = None,
) -> Drop | Drops: ...
def attach(
    model: nn.Module,
    schedule: Source,
    *,
    steps: int,
    rescale: str | None = None,
    skipped: str | None = None,
    seed: int = 0,
    groups: int = 1,
    sequences: int | None = None,
    first_step: int = 0,
    blocks: str | Sequence[str] | None = None,
    written_for: int | None = None,
) -> Drop | Drops:
    """Gates the blocks of any model. A kept block runs, with x + (block(x) - x)/p for `rescale: block`; a dropped block
    is not called.

    Args:
        model: a module, or one inside DDP. Its blocks are a ModuleList or Sequential over which its forward iterates.
        schedule: a name of the library, a place (`./mine.yaml`), a mapping of its keys, or a Schedule.
        steps: optimizer steps of the whole run, 1 or more; the same for a resumed run.
        rescale: block | none | evaluation, instead of the schedule's own. Other values act inside blocks, which
            pld_search does not control.
        skipped: `freeze`, instead of the schedule's own: the user's optimizer does not update parameters without a
            gradient.
        seed: the seed of the plan; equal on every rank, and after a resume.
        groups: parts of a step's batch with their own draws, 1 or more.
        sequences: the sequences of one group; required by `draw.per: sequence`.
        first_step: steps completed before this process, 0 .. steps - 1; above 0 for a resumed run.
        blocks: the path of the stack (`encoder.layer`), if it cannot be found; or a list of paths for an encoder and a
            decoder, which then have separate plans.
        written_for: the number of layers for which the schedule was written, if the model has another number: block l
            of L then follows layer ceil(l written_for / L) of the schedule.

    Raises ConfigError for a schedule that cannot be followed, AttachError for a model that cannot be gated.

    Source: progressive layer dropping (Zhang & He, 2020, arXiv 2010.13369), with one unbiased scale on the residual of
    the whole block instead of one scale on each sublayer's.
    """
    if steps < 1 or not 0 <= first_step < steps:
        raise AttachError(
            f"steps={steps}, first_step={first_step}: a run has at least one step, and first_step lies in 0 "
            ".. steps - 1"
        )
    if not isinstance(model, nn.Module):
        raise AttachError(
            f"a model is a torch module, not {model!r:.80}: load it first, as AutoModel.from_pretrained does"
        )
    inner = unwrapped(model)
    paths = [blocks] if blocks is None or isinstance(blocks, str) else list(blocks)
    found = [find_stack(inner, path) for path in paths]
    if len({id(stack) for _, stack in found}) < len(paths) or not paths:
        raise AttachError(f"blocks={blocks!r} names no stack, or one twice; name each once: ['PATH', 'PATH']")
    plans = []
    for number, (path, stack) in enumerate(found):
        own = attached_schedule(schedule, steps, len(stack), rescale, skipped, written_for)
        check_blocks(path, list(stack.children()), own, steps)
        if own.draw.per == "sequence":
            _check_rows(path, stack, sequences)
        # the first stack has the same draws as a single stack, the others have words of their own
        key = seed if number == 0 else key_of(seed, f"attached stack {number}")[0]
        plans.append(Plan(own, key, steps, len(stack), groups, sequences))
    drops = [Drop(inner, path, stack, plan, first_step) for (path, stack), plan in zip(found, plans, strict=True)]
    return drops[0] if len(drops) == 1 else Drops(drops)


def _check_rows(path: str, stack: Stack, sequences: int | None) -> None:
    if sequences is None:
        raise AttachError("`draw.per: sequence` needs the number of sequences of a group: attach(..., sequences=N)")
    if any(getattr(module, "batch_first", True) is False for module in stack.modules()):
        raise AttachError(
            f"`draw.per: sequence`: {path} has the batch in its second dimension (batch_first=False), and "
            "its sequences cannot be cut there; `per: group`"
        )
