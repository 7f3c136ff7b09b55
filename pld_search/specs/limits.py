"""The largest numbers that are accepted, one a quantity: far above what anybody trains, and answered in seconds.

They are checked before anything is computed from a number: what is above its limit is a slip of the keyboard.
"""

from __future__ import annotations

from pld_search.errors import ConfigError, KeyPath, Problem

STEPS = 10_000_000
"""Optimizer steps of a run."""
LAYERS = 1_000
"""Layers of a model."""
CELLS = 200_000_000
"""Steps x layers of a run: sums of keep probabilities over it fit 64 bits."""
WIDTH = 1_000_000
"""Width of a residual stream or a feed-forward, and attention heads."""
LENGTH = 1_000_000
"""Positions of a sequence."""
COUNT = 1_000_000_000
"""Sequences of a batch, examples, epochs, and other counts without a limit of their own."""
TOKENS = 10**15
"""Positions that a run reads."""
FLOPS = 1e30
"""Floating-point operations of a run."""
SECONDS = 1e9
"""Any time."""
SEEDS = 1_000
"""Runs of a configuration: confirmation counts on from seed index 1000."""
TRIALS = 100_000
"""Sampled configurations of a search, and trials of a tuning."""
PROCESSES = 10_000
"""Runs at once, ranks, threads, nodes."""
SEED = 2**53
"""A seed: the largest whole number that JSON readers agree on."""


def refuse_beyond(steps: int, layers: int, path: KeyPath = ()) -> None:
    """Raises ConfigError, for the key at `path`, for a run beyond STEPS, LAYERS or CELLS."""
    for what, number, most in (
        ("steps", steps, STEPS),
        ("layers", layers, LAYERS),
        ("steps x layers", steps * layers, CELLS),
    ):
        if number > most:
            raise ConfigError(
                Problem(f"more {what} than a run can have", path, allowed=f"at most {most:,}", given=f"{number:,}")
            )
