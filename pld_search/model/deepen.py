"""Adds blocks to a stack in place, and decides from which blocks their weights are copied."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from pld_search.model.blocks import Block
from pld_search.model.initial_values import initialise
from pld_search.model.layered_model import LayeredModel
from pld_search.specs.experiment import Model
from pld_search.specs.growth import REPEATED, Weights

Copied = dict[nn.Parameter, nn.Parameter]
"""Each copied parameter -> the parameter from which it was copied."""


def sources(weights: Weights, before: int, after: int) -> tuple[int | None, ...]:
    """Returns, for every block of the deeper stack from the lowest, the old block whose weights it has; None for
    initial values.

    The first occurrence of an old block is the block itself, later ones are copies. `after` is a multiple of `before`
    if the whole stack is repeated. With `middle`, the middle blocks, as many as are new, are copied and placed right
    above themselves; if more are new than exist, the stack doubles first, repeatedly if necessary.

    >>> sources("stack", 2, 6), sources("interleave", 2, 6), sources("fresh", 2, 5)
    ((0, 1, 0, 1, 0, 1), (0, 0, 0, 1, 1, 1), (0, 1, None, None, None))
    >>> sources("middle", 4, 6), sources("middle", 6, 9), sources("middle", 1, 3)
    ((0, 1, 2, 1, 2, 3), (0, 1, 2, 3, 1, 2, 3, 4, 5), (0, 0, 0))
    """
    if weights in REPEATED and after % before:
        raise ValueError(f"{before} blocks cannot be copied to {after}")
    if weights == "middle":
        return _from_the_middle(tuple(range(before)), after)
    if weights == "interleave":
        return tuple(index // (after // before) for index in range(after))
    if weights == "stack":
        return tuple(index % before for index in range(after))
    return tuple(index if index < before else None for index in range(after))


def _from_the_middle(order: tuple[int, ...], after: int) -> tuple[int, ...]:
    while len(order) < after:
        new = min(after - len(order), len(order))
        first = (len(order) - new) // 2
        order = order[: first + new] + order[first : first + new] + order[first + new :]
    return order


def deepen(model: LayeredModel, spec: Model, seed: int, layers: int, weights: Weights) -> Copied:
    """Makes the stack `layers` blocks deep; returns the copied parameters and their sources.

    The existing blocks stay the same objects, at their new places. Fresh blocks are initialised by (seed, the name of
    their place), as in a model that had all its layers from the start.
    """
    old = list(model.bert.encoder.blocks)
    blocks: list[nn.Module] = []
    copied: Copied = {}
    for index, source in enumerate(sources(weights, len(old), layers)):
        if source is not None and old[source] not in blocks:
            blocks.append(old[source])
            continue
        block = _block(model, index + 1)
        if source is None:
            initialise(block, spec, seed, f"bert.encoder.blocks.{index}")
            if weights == "zero":
                _adds_nothing(block)
        else:
            block.load_state_dict(old[source].state_dict())
            copied.update(zip(block.parameters(), old[source].parameters(), strict=True))
        blocks.append(block)
    _install(model, blocks)
    return copied


def with_layers(model: LayeredModel, layers: int) -> None:
    """Gives the stack `layers` blocks whose weights are loaded later; does nothing if it already has as many."""
    if len(model.bert.encoder.blocks) != layers:
        _install(model, [_block(model, place) for place in range(1, layers + 1)])


@contextmanager
def as_deep_as(model: LayeredModel, layers: int) -> Iterator[None]:
    """Lets existing blocks stand in for missing ones, in turn and unscaled, while the context lasts: the same work as a
    stack of `layers` blocks.

    It serves only to measure that work; the results have no meaning.
    """
    own, config = model.bert.encoder.blocks, model.config
    full_depth = config.full_depth
    if len(own) == layers:
        yield
        return
    try:
        config.full_depth = None
        model.bert.encoder.blocks = nn.ModuleList([own[index % len(own)] for index in range(layers)])
        yield
    finally:
        model.bert.encoder.blocks, config.full_depth = own, full_depth


def _block(model: LayeredModel, place: int) -> Block:
    weight = model.bert.embeddings.words.weight
    with torch.device(weight.device):
        return Block(model.config, place).train(model.training)


@torch.no_grad()
def _adds_nothing(block: Block) -> None:
    """Sets both maps that lead back to the residual stream to 0."""
    for last in (block.attention.out, block.feed_forward.down):
        for parameter in last.parameters():
            parameter.zero_()


def _install(model: LayeredModel, blocks: list[nn.Module]) -> None:
    model.bert.encoder.blocks = nn.ModuleList(blocks)
    model.config.num_hidden_layers = len(blocks)
    model.config.full_depth = None  # its scales were for another number of layers; the caller sets it again if needed
