"""The grid of keep probabilities: whole multiples of 2^-32, so that a plan compares integers and is equal everywhere.

Two numpy versions may differ in the last bit of exp(). Rounded to the grid they give the same probability, and so the
same plan. A layer is kept iff its 32-bit hash word is below its probability in grid steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

STEPS = 2**32


def to_grid(probabilities: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Returns probabilities, clipped to [0, 1], in grid steps 0 .. 2^32: floor(x 2^32 + 0.5); same shape."""
    clipped = np.clip(probabilities, 0.0, 1.0)
    clipped *= STEPS
    clipped += 0.5
    whole: NDArray[np.uint64] = np.asarray(clipped, dtype=np.float64).astype(np.uint64)
    return whole


def from_grid(steps: NDArray[Any]) -> NDArray[np.float64]:
    """Returns the probabilities of grid steps; exact, since 33 bits fit a float64."""
    return steps.astype(np.float64) / STEPS
