"""Converts a DeepSpeed config with `progressive_layer_drop` to an equivalent schedule, and to a config that current
DeepSpeed accepts.

DeepSpeed up to 0.19.6 read `{"progressive_layer_drop": {"enabled": true, "theta": 0.5, "gamma": 0.001}}`. Later
versions refuse any config with this block, even a disabled one, with the message `REMOVED`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pld_search.errors import ConfigError, KeyPath, Problem
from pld_search.schedules.units import exact, plain

BLOCK = "progressive_layer_drop"
REMOVED = (
    "Progressive Layer Dropping has been removed; the 'progressive_layer_drop' configuration block is no "
    "longer supported. "
    "See https://github.com/deepspeedai/DeepSpeed/issues/8489."
)
"""The message of DeepSpeedConfigError since the removal (deepspeed/runtime/config.py of 0.19.8, pull request 8562)."""

_KEYS = ("enabled", "theta", "gamma")
_LAYERS = 12


@dataclass(frozen=True, slots=True)
class DeepSpeedDifference:
    """One convention: how DeepSpeed behaved, and how this project behaves with the imported schedule or with `pld`."""

    about: str
    deepspeed: str
    here: str


@dataclass(frozen=True, slots=True)
class Imported:
    """The result of an import.

    schedule: the mapping of a schedule file; None when the block was disabled (then every layer ran, as with the
    library's `full`).
    config: the DeepSpeed config without the block, otherwise unchanged.
    differences: what a user should know before comparing runs.
    """

    schedule: dict[str, Any] | None
    config: dict[str, Any]
    differences: tuple[DeepSpeedDifference, ...]


def import_config(config: Mapping[str, Any]) -> Imported:
    """Returns the schedule of a DeepSpeed config in the form that `json.load` gives; does not change the config.

    Raises ConfigError with every problem: no block, a block that is not a mapping, an unknown key, theta not in (0, 1],
    gamma not above 0. DeepSpeed required both numbers in an enabled block, so neither has a default here.
    """
    if BLOCK not in config:
        raise ConfigError(
            Problem(
                f"this DeepSpeed config has no `{BLOCK}`: there is nothing to import",
                given=", ".join(map(str, config)) or "nothing",
            )
        )
    rest = {key: copy.deepcopy(value) for key, value in config.items() if key != BLOCK}
    block = config[BLOCK]
    problems = _problems(block)
    if problems:
        raise ConfigError(problems)
    if not block.get("enabled", False):
        return Imported(None, rest, (_removed(),))
    theta, gamma = exact(block["theta"]), exact(block["gamma"])
    return Imported(_schedule(theta, gamma), rest, _differences(theta, gamma, _groups(config)))


def _problems(block: Any) -> list[Problem]:
    if not isinstance(block, Mapping):
        return [Problem("needs a mapping", (BLOCK,), allowed=" | ".join(_KEYS), given=repr(block))]
    found = [Problem("unknown key", (BLOCK, str(key)), allowed=" | ".join(_KEYS)) for key in block if key not in _KEYS]
    enabled = block.get("enabled", False)
    if not isinstance(enabled, bool):
        found.append(Problem("needs true or false", (BLOCK, "enabled"), given=repr(enabled)))
    elif enabled:
        found += _number(block, "theta", "above 0 (DeepSpeed divides by it in the last layer), at most 1", Decimal(1))
        found += _number(block, "gamma", "above 0, at most 1000", Decimal(1000))
    return found


def _number(block: Mapping[str, Any], key: str, allowed: str, most: Decimal) -> list[Problem]:
    path: KeyPath = (BLOCK, key)
    if key not in block:
        return [Problem("DeepSpeed requires this key in an enabled block", path, allowed=allowed)]
    value = block[key]
    numeric = isinstance(value, int | float) and not isinstance(value, bool) and value == value
    if numeric and Decimal("1e-9") <= exact(min(max(value, -1), 1001)) <= most:
        return []
    return [Problem("out of range" if numeric else "needs a number", path, allowed=allowed, given=repr(value))]


def _schedule(theta: Decimal, gamma: Decimal) -> dict[str, Any]:
    """Returns the library's `pld-deepspeed` schedule with these two numbers."""
    return {
        "name": "from-deepspeed",
        "about": f"Progressive layer dropping as DeepSpeed ran it, theta {plain(theta)}, gamma {plain(gamma)}",
        "source": f"imported from the `{BLOCK}` of a DeepSpeed config",
        "temporal": {
            "kind": "exponential",
            "start": 1.0,
            "end": float(theta),
            "rate": f"{plain(gamma)} / step",
            "lag": "1 step",
        },
        "depth": {"kind": "linear", "index": "(l-1)/L"},
        "draw": {"kind": "bernoulli", "per": "group", "unit": "layer"},
        "rescale": "deepspeed",
        "skipped": "zero_grad",
    }


def _groups(config: Mapping[str, Any]) -> int | None:
    """Returns the micro-batches of a step over all ranks, each with its own draw; None if the config does not say."""
    whole, micro = config.get("train_batch_size"), config.get("train_micro_batch_size_per_gpu")
    if isinstance(whole, int) and isinstance(micro, int) and micro > 0 and whole % micro == 0:
        return whole // micro
    return None


def _differences(theta: Decimal, gamma: Decimal, groups: int | None) -> tuple[DeepSpeedDifference, ...]:
    loop, paper = (plain(_LAYERS - (1 - theta) * shares) for shares in (Decimal("5.5"), Decimal("6.5")))
    draws = (
        f"its config has {groups} of them a step, which is `batch.groups: {groups}` where every GPU draws "
        "for itself; GPUs that "
        f"are seeded alike draw alike, which leaves {groups} divided by the number of GPUs (4 in DeepSpeed's "
        "published run)"
        if groups
        else "state as many `batch.groups`"
    )
    return (
        _removed(),
        DeepSpeedDifference(
            "layers kept",
            f"its loop counts layers from 0: {_LAYERS} layers keep {loop} at the floor",
            f"`depth.index: (l-1)/L` does the same; the paper's equation, `l/L` in `pld`, keeps {paper}",
        ),
        DeepSpeedDifference(
            "rescale",
            "a kept layer is divided by the keep probability of the next one, so even the first, which "
            "always runs, is scaled up",
            "`rescale: deepspeed` does the same; `sublayer` divides by the layer's own p, `block` leaves the "
            "mean unbiased",
        ),
        DeepSpeedDifference(
            "time",
            f"theta falls by gamma {plain(gamma)} a step whatever the length of the run, one step late: "
            "steps 0 and 1 have theta 1",
            "`rate: ... / step` with `lag: 1 step` does the same; the paper's is `100 / run` without a lag",
        ),
        DeepSpeedDifference(
            "draws",
            "every rank draws for every micro-batch from its process's global generator",
            f"one draw a group, the same on every rank: {draws}",
        ),
        DeepSpeedDifference(
            "resume",
            "the generators start again after a restart, and theta is 1 for one step, so a resumed run is another run",
            "the plan is a function of seed, step and group: a resumed run is the same run",
        ),
        DeepSpeedDifference(
            "skipped layers",
            "a dropped layer has a gradient of zero, and Adam's momentum still moves it",
            "`skipped: zero_grad` does the same; `freeze` leaves it alone",
        ),
    )


def _removed() -> DeepSpeedDifference:
    return DeepSpeedDifference(
        "config",
        f"later DeepSpeeds refuse the block, a disabled one too: {REMOVED}",
        "the copy of the config is without it",
    )
