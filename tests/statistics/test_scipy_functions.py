"""scipy's functions: the same values, and loaded only when one of them is called."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from pld_search.statistics import scipy_functions as functions

LOADED = "import sys; import pld_search.cli.best, pld_search.cli.status; print('scipy' in sys.modules)"


def test_printing_a_winner_loads_no_scipy() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_probabilities_of_tables() -> None:
    """Quantiles of the tables in Abramowitz and Stegun (1964), chapter 26."""
    assert functions.ndtr(1.959964) == pytest.approx(0.975, abs=1e-7)
    assert functions.log_ndtr(np.array([0.0])) == pytest.approx(math.log(0.5))
    assert functions.stdtrit(10, 0.975) == pytest.approx(2.228, abs=5e-4)
    assert functions.chdtri(10, 0.05) == pytest.approx(18.307, abs=5e-4)
    assert functions.fdtrc(2, 10, 4.10) == pytest.approx(0.05, abs=1e-4)


def test_a_root_to_a_tolerance() -> None:
    assert functions.brentq(lambda x: x * x - 2, 0.0, 2.0, xtol=1e-12) == pytest.approx(math.sqrt(2), abs=1e-11)
    with pytest.raises(ValueError, match="sign"):
        functions.brentq(lambda x: x * x + 2, 0.0, 2.0)
