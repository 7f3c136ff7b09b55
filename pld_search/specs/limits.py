"""The largest numbers that are accepted, one for each quantity. They are far above real training, and are checked in
seconds.

They are checked before anything is computed from a number: a value above its limit is a typing error.
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
"""Width of a residual stream or a feed-forward, and the number of attention heads."""
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
"""Runs of a configuration; confirmation counts from seed index 1000."""
TRIALS = 100_000
"""Sampled configurations of a search, and trials of a tuning."""
PROCESSES = 10_000
"""Concurrent runs, ranks, threads, nodes."""
SEED = 2**53
"""A seed; the limit is the largest whole number that all JSON readers read alike."""


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
