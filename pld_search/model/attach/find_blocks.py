"""Finds a model's blocks: a list of modules of one class that the model calls in order."""

from __future__ import annotations

import difflib

from torch import nn

from pld_search.errors import AttachError

Stack = nn.ModuleList | nn.Sequential


def find_stack(model: nn.Module, blocks: str | None) -> tuple[str, Stack]:
    """Returns the path and the list of the model's blocks.

    `blocks` is its path, from the model or from any module inside (`encoder.layer` finds `bert.encoder.layer`). Without
    it, the function takes the only list of at least two blocks of one class; among several, the one with the length
    in the model's configuration (`num_hidden_layers`). Raises AttachError with the lists that were found.
    """
    return _automatic(model) if blocks is None else _named(model, blocks)


def _named(model: nn.Module, blocks: str) -> tuple[str, Stack]:
    modules = {name: module for name, module in model.named_modules() if name == blocks or name.endswith(f".{blocks}")}
    found = {name: module for name, module in modules.items() if isinstance(module, Stack)}
    if len(found) > 1 and blocks in found:
        found = {blocks: found[blocks]}
    if len(found) == 1:
        ((path, stack),) = found.items()
        _usable(path, stack)
        return path, stack
    if found:
        raise AttachError(f"blocks={blocks!r} is the end of several paths, write more of it; found: {', '.join(found)}")
    candidates = _candidates(model)
    if modules:
        kinds = ", ".join(f"{name} is a {type(module).__name__}" for name, module in modules.items())
        raise AttachError(f"blocks={blocks!r} is no list of blocks ({kinds}); found: {_listed(candidates)}")
    ends = [".".join(path.split(".")[start:]) for path in candidates for start in range(path.count(".") + 1)]
    close = difflib.get_close_matches(blocks, ends, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise AttachError(f"blocks={blocks!r} is not in this {type(model).__name__}; found: {_listed(candidates)}{hint}")


def _automatic(model: nn.Module) -> tuple[str, Stack]:
    candidates = _candidates(model)
    stated = getattr(getattr(model, "config", None), "num_hidden_layers", None)
    if len(candidates) > 1:
        candidates = {path: stack for path, stack in candidates.items() if len(stack) == stated} or candidates
    if len(candidates) == 1:
        return next(iter(candidates.items()))
    shared = _shared_layers(model)
    if shared and not candidates:
        raise AttachError(shared)
    what = (
        "several stacks of blocks"
        if candidates
        else "no stack of blocks (a ModuleList or Sequential of one class of modules)"
    )
    raise AttachError(f"{what} in this {type(model).__name__}; name one as blocks='PATH'; found: {_listed(candidates)}")


def _shared_layers(model: nn.Module) -> str | None:
    """Returns why a model with the same weights at every depth (ALBERT) cannot be attached; None for other models."""
    config = getattr(model, "config", None)
    layers, groups = getattr(config, "num_hidden_layers", 0), getattr(config, "num_hidden_groups", None)
    if groups is None or groups >= layers:
        return None
    return (
        f"the {layers} layers of this {type(model).__name__} share the weights of {groups} "
        f"(num_hidden_groups={groups}): "
        "a layer skipped at one depth cannot be distinguished from the others"
    )


def _candidates(model: nn.Module) -> dict[str, Stack]:
    """Returns lists of at least two blocks of one class, none inside another; a block has submodules and parameters."""
    found: dict[str, Stack] = {}
    for path, module in model.named_modules():
        inside = any(path.startswith(f"{outer}.") for outer in found)
        if not inside and isinstance(module, Stack) and len(module) >= 2 and _is_of_blocks(module):
            found[path] = module
    return found


def _is_of_blocks(stack: Stack) -> bool:
    blocks = list(stack.children())
    return len({type(block) for block in blocks}) == 1 and all(
        any(True for _ in block.children()) and any(True for _ in block.parameters()) for block in blocks
    )


def _usable(path: str, stack: Stack) -> None:
    if len(stack) == 0:
        raise AttachError(f"{path} is empty: there is no block to gate")
    if len(set(map(id, stack))) < len(stack):
        raise AttachError(
            f"{path} holds one block several times (shared weights): a block skipped at one depth cannot be "
            "told from the others"
        )


def _listed(candidates: dict[str, Stack]) -> str:
    return (
        ", ".join(f"{path} ({len(stack)} x {type(stack[0]).__name__})" for path, stack in candidates.items())
        or "nothing"
    )
