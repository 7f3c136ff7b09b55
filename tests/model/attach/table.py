"""The eight architectures' table of docs/attach.md: `python -m tests.model.attach.table` prints it, test_table.py
compares.

FLOPs are what torch counts, forward and backward, under the MATH kernel (it counts fused attention on a CPU as
nothing), over every step of a short run; the forecast is the closed form, from the cost of one block and of none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pld_search.costs.expected_depth import expect
from pld_search.model.attach.layer_drop import Drop, attach
from tests.model.attach.architectures import ARCHITECTURES, LAYERS, Architecture

STEPS = 8
SCHEDULE: dict[str, Any] = {
    "base": "pld",
    "draw": {"kind": "exact", "per": "group", "unit": "layer"},
    "rescale": "block",
}
HEAD = (
    "| architecture | blocks | FLOPs saved | forecast | per sequence | not supported, and why "
    "|\n|---|---|---|---|---|---|"
)
HOOKS = "recorded outputs (1)"
REFUSED = {
    "DeBERTa-v2": "nothing: its encoder collects recorded outputs itself",
    "GPT-2": f"{HOOKS}; caches across steps (2)",
}
PER_SEQUENCE = {"GPT-2": "with `use_cache=False`"}


def counted(model: nn.Module, batch: dict[str, Tensor], drop: Drop | None = None, step: int = 0) -> int:
    """FLOPs of one forward and backward pass."""
    model.zero_grad(set_to_none=True)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        if drop is None:
            model(**batch).loss.backward()
        else:
            with drop.step(step):
                model(**batch).loss.backward()
    return int(counter.get_total_flops())


def costs(architecture: Architecture) -> tuple[int, int]:
    """FLOPs of one block, and of a step without any block, from runs of the untouched model and of one
    without blocks.
    """
    model, batch = architecture.build(), architecture.batch()
    full = counted(model, batch)
    never = {
        "base": "pld",
        "temporal": {"kind": "constant", "value": 0.0},
        "depth": {"kind": "uniform"},
        "rescale": "none",
    }
    none = counted(model, batch, attach(model, never, steps=STEPS))
    return (full - none) // LAYERS, none


def measured(architecture: Architecture) -> tuple[float, float, list[int], list[int]]:
    """Share of the run's FLOPs saved, its forecast, and for each step what was counted and what the plan and the costs
    say.
    """
    block, rest = costs(architecture)
    model, batch = architecture.build(), architecture.batch()
    drop = attach(model, SCHEDULE, steps=STEPS)
    found = [counted(model, batch, drop, step) for step in range(STEPS)]
    planned = [rest + block * sum(drop.plan.gates(step, 0).keep) for step in range(STEPS)]
    full = STEPS * (rest + LAYERS * block)
    saved_blocks = expect(drop.plan.schedule, STEPS, LAYERS).saved_block_flops
    return 1 - sum(found) / full, saved_blocks * LAYERS * block / (rest + LAYERS * block), found, planned


def row(architecture: Architecture, saved: float, forecast: float) -> str:
    per_sequence = PER_SEQUENCE.get(architecture.name, "yes")
    refused = REFUSED.get(architecture.name, HOOKS)
    return (
        f"| {architecture.name} | `{architecture.path}` | {100 * saved:.1f} % | {100 * forecast:.1f} % | "
        f"{per_sequence} | {refused} |"
    )


def table() -> Iterator[str]:
    yield HEAD
    for architecture in ARCHITECTURES.values():
        yield row(architecture, *measured(architecture)[:2])


if __name__ == "__main__":
    torch.set_num_threads(1)
    for line in table():
        print(line)
