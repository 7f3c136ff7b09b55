"""The scale of kept layers, by convention. A kept layer has p >= 2^-32 wherever a scale divides by it
(combinations.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pld_search.schedules.conventions import Rescale, Where
from pld_search.schedules.depth import fractions_of
from pld_search.schedules.existing_layers import Layers, layers_at
from pld_search.schedules.keep_grid import from_grid, to_grid
from pld_search.schedules.schedule import Schedule

_TRAINING: dict[Rescale, Where] = {
    "sublayer": "sublayer",
    "block": "block",
    "none": "none",
    "evaluation": "none",
    "deepspeed": "sublayer",
}


def where_in_training(rescale: Rescale) -> Where:
    """Returns what a training scale multiplies: each sublayer's residual, the block's, or nothing."""
    return _TRAINING[rescale]


def divisor_grid(schedule: Schedule, steps: NDArray[np.int64], total: int, layers: Layers) -> NDArray[np.uint64] | None:
    """Returns the divisor of a kept layer's residual in training, in grid steps (S, layers); None for no division.

    sublayer, block: p_l itself. deepspeed: 1 - l/L (1 - theta). That is one step of the profile below p_l = 1 - (l-1)/L
    (1 - theta), with which the layer is kept (DeepSpeedExamples, bing_bert/nvidia/modelingpreln_layerdrop.py). So even
    the first layer, which is always kept, is scaled up.
    """
    if where_in_training(schedule.rescale) == "none":
        return None
    if schedule.rescale == "deepspeed":
        theta = schedule.theta(steps, total)[..., None]
        return layers_at(layers).spread(
            steps, lambda where, size: to_grid(1.0 - fractions_of("l/L", size) * (1.0 - theta[where]))
        )
    return schedule.keep_grid(steps, total, layers)


def training_scale(schedule: Schedule, steps: NDArray[np.int64], total: int, layers: Layers) -> NDArray[np.float64]:
    """Returns the factor on the residual of layer l where it is kept: float64 (S, layers), 1.0 without a scale and
    where p is 0.
    """
    divisor = divisor_grid(schedule, steps, total, layers)
    scale = np.ones((len(steps), layers_at(layers).final))
    if divisor is not None:
        np.divide(1.0, from_grid(divisor), out=scale, where=divisor > 0)
    return scale
