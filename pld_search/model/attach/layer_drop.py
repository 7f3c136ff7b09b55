"""`pld_search.attach`: layer dropping in a training script of the user's own, for any model with a stack of residual
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
    """A model that is attached to a schedule; `attach` makes it.

    plan: what every step keeps (schedules/plan.py). path: where the blocks are, from the model. completed: steps that
    were run, 0 .. plan.total; evaluation under `rescale: evaluation` multiplies by the keep probabilities of that step.
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
        """Where it is attached, what drops the layers, and how far the run has come."""
        if self._stack is None:
            return f"<drop: detached from {self.path}>"
        name, total = self.plan.schedule.name or "schedule", self.plan.total
        return f"<drop: {self.path}, {self._layers} blocks under {name}, {self.completed:,} of {total:,} steps>"

    @contextmanager
    def step(self, step: int, group: int = 0, first: int = 0) -> Iterator[None]:
        """Inside, training passes run under the gates of one group of one step; the backward pass may come inside or
        after.

        Args:
            step: counts optimizer steps, `first_step` .. steps - 1; all micro-batches of a step have the same.
            group: 0 .. groups - 1, the part of the step's batch that shares a draw.
            first: for `draw.per: sequence`, where the batch begins in its group, in sequences.

        The first call compares the plan and the step over all ranks, before any forward pass. Raises AttachError for a
        step outside the run, a step inside another, ranks that disagree, a model that was compiled as a whole, and a
        step in which no training pass came through the blocks (then another model ran, a copy perhaps).
        """
        self.open(step, group, first)
        try:
            yield
            self.check()
        finally:
            self.close()

    def open(self, step: int, group: int = 0, first: int = 0) -> None:
        """The beginning of `step`, for trainers that call back at both ends; `check` and `close` are its end."""
        if self._stack is None:
            raise AttachError("this model was detached")
        if self._passes.step is not None:
            raise AttachError(f"step {step} begins inside another step")
        if not (self._first_step <= step < self.plan.total and 0 <= group < self.plan.groups):
            raise AttachError(
                f"step {step}, group {group}: this run has steps {self._first_step} .. {self.plan.total - 1} "
                f"and groups 0 .. {self.plan.groups - 1} "
                "(a run that is resumed says so: attach(..., first_step=N))"
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
        """Before the end of a step: raises AttachError where its gates were not followed."""
        if self._passes.compiled:
            raise AttachError(COMPILED)
        if self._passes.last is None:
            raise AttachError(
                f"a step ended, and no training pass came through {self.path} of the model that was attached: "
                "another model ran (a copy, or one that a compiler holds), or it was in evaluation mode"
            )

    def close(self) -> None:
        """The end of a step."""
        self._passes.close()

    def theta(self, step: int) -> float:
        """The keep rate of a step, 0 .. 1."""
        return float(self.plan.schedule.theta(step, self.plan.total))

    def layers_kept(self, step: int) -> float:
        """Blocks that run at a step, 0 .. layers: the mean over its groups, and for draws per sequence over the
        sequences.
        """
        sequences = self.plan.group_size(step) or 1
        groups = [self.plan.at(step, group) for group in range(self.plan.groups)]
        return executed(groups, sequences).attention / (sequences * len(groups))

    def detach(self) -> None:
        """Leave the model as it was. Calling it again does nothing."""
        if self._stack is not None:
            self._hook.remove()
            close_stack(self._stack)
            self._stack = None

    def _set_full_depth(self) -> None:
        gates = self.plan.evaluation(self.completed)
        self._passes.full_depth = None if gates is None else Share(gates)

    def digest(self) -> str:
        """What tells this run's plan from another's."""
        return self.plan.digest()


class _OutputCheck:
    """The hook on the model: what it recorded inside a step is true, and a training pass had a step. In a copy or a
    pickle of the model it does nothing, since those follow no step.
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
    """Several stacks of one model, an encoder's and a decoder's, under one schedule; `attach(blocks=[...])` makes it.

    stacks: a `Drop` each, in the order given. Every stack has its own plan, by its own depth and with draws of its own;
    `plan` is the first one's.
    """

    def __init__(self, stacks: Sequence[Drop]) -> None:
        self.stacks = tuple(stacks)
        self.plan = self.stacks[0].plan

    @property
    def completed(self) -> int:
        """Steps that were run."""
        return self.stacks[0].completed

    @contextmanager
    def step(self, step: int, group: int = 0, first: int = 0) -> Iterator[None]:
        """As `Drop.step`, of every stack."""
        self.open(step, group, first)
        try:
            yield
            self.check()
        finally:
            self.close()

    def open(self, step: int, group: int = 0, first: int = 0) -> None:
        """The beginning of a step in every stack."""
        for stack in self.stacks:
            stack.open(step, group, first)

    def check(self) -> None:
        """Before the end of a step: raises AttachError where the gates of a stack were not followed."""
        for stack in self.stacks:
            stack.check()

    def close(self) -> None:
        """The end of a step."""
        for stack in self.stacks:
            stack.close()

    def theta(self, step: int) -> float:
        """The keep rate of a step, 0 .. 1."""
        return self.stacks[0].theta(step)

    def layers_kept(self, step: int) -> float:
        """Blocks that run at a step, over all stacks."""
        return sum(stack.layers_kept(step) for stack in self.stacks)

    def detach(self) -> None:
        """Leave the model as it was. Calling it again does nothing."""
        for stack in self.stacks:
            stack.detach()

    def digest(self) -> str:
        """What tells this run's plans from others'."""
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
    """Gate the blocks of any model: what a step keeps runs, x + (block(x) - x)/p for `rescale: block`; what it drops is
    not called.

    Args:
        model: a module, or one inside DDP. Its blocks are a ModuleList or Sequential that its forward walks through.
        schedule: a name of the library, a place (`./mine.yaml`), a mapping of its keys, or a Schedule.
        steps: optimizer steps of the whole run, 1 or more; also of a run that is resumed.
        rescale: block | none | evaluation, instead of the schedule's own; any other one works inside blocks, which are
        not ours.
        skipped: `freeze`, instead of the schedule's own: the optimizer is yours, and leaves alone what has no gradient.
        seed: of the plan; the same on every rank, and on a resume.
        groups: parts of a step's batch that draw for themselves, 1 or more.
        sequences: of one group; needed by `draw.per: sequence`.
        first_step: steps completed before this process, 0 .. steps - 1; more than 0 for a run that is resumed.
        blocks: where the stack is (`encoder.layer`), where it cannot be found; a list of such for an encoder and a
        decoder, which are then gated by plans of their own.
        written_for: the layers of the model that the schedule was written for, where this one has others: block l of L
        then follows layer ceil(l written_for / L) of it.

    Raises ConfigError for a schedule that cannot be followed, AttachError for a model that cannot be gated.

    Source: progressive layer dropping (Zhang & He, 2020, arXiv 2010.13369), with one unbiased scale on the residual of
    the whole block instead of one on each sublayer's.
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
        # the first stack draws as a single one does, the others by words of their own
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
