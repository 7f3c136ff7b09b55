"""The functions of scipy that the room uses. Each loads scipy when it is called: this takes half a second of processor
time, and most readers of a study call none of them.

The probabilities are scipy.special's, by its names; arguments may be arrays of any shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def ndtr(x: Any) -> Any:
    """Returns P(Z <= x) of a standard normal Z."""
    from scipy.special import ndtr as function

    return function(x)


def log_ndtr(x: Any) -> Any:
    """Returns ln P(Z <= x) of a standard normal Z."""
    from scipy.special import log_ndtr as function

    return function(x)


def stdtrit(freedom: float, p: float) -> float:
    """Returns the quantile of Student's t at `p` for `freedom` > 0 degrees of freedom."""
    from scipy.special import stdtrit as function

    return float(function(freedom, p))


def chdtri(freedom: float, p: float) -> float:
    """Returns the value that chi^2 with `freedom` degrees of freedom exceeds with probability `p`."""
    from scipy.special import chdtri as function

    return float(function(freedom, p))


def fdtrc(above: float, below: float, x: Any) -> Any:
    """Returns P(F > x) for `above` and `below` degrees of freedom."""
    from scipy.special import fdtrc as function

    return function(above, below, x)


def brentq(function: Callable[[float], float], low: float, high: float, **tolerances: float) -> float:
    """Returns a root between `low` and `high`, at which `function` has different signs (Brent 1973); `tolerances` are
    scipy's `xtol` and `rtol`. Raises ValueError for equal signs.
    """
    from scipy.optimize import brentq as root

    return float(root(function, low, high, **tolerances))
