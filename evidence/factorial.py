"""Stage C as a factorial experiment: its cells, their blocks of seeds and learning rates, and its model.

Every cell of 3 x 2 x 3 x 2 x 2 is trained once. The assignment of seeds and rates to cells is a second design, chosen
so that the effects of interest are estimable (`layout`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

FACTORS: dict[str, tuple[str, ...]] = {
    "direction": ("falling", "constant", "rising"),
    "profile": ("uniform", "linear"),
    "rescale": ("none", "block", "sublayer"),
    "saving": ("12", "24"),
    "draw": ("group", "sequence"),
}
BLOCKS = 6
RATES = (1e-3, 2e-3, 4e-3)
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of the factors: `levels` by factor, its block (0 .. 5), whose seed it is trained with, and the
    level of its learning rate.
    """

    levels: tuple[int, ...]
    block: int
    rate: int

    @property
    def words(self) -> dict[str, str]:
        """Factor -> the name of its level."""
        return {factor: names[level] for (factor, names), level in zip(FACTORS.items(), self.levels, strict=True)}

    @property
    def name(self) -> str:
        """The row's name: its levels, then its rate."""
        return f"{'-'.join(self.words.values())}-{self.lr}"

    @property
    def lr(self) -> str:
        """Its learning rate, as a study writes it."""
        return f"{RATES[self.rate]:.0e}".replace("e-0", "e-")


def layout(tries: int = 400, seed: int = 0) -> tuple[Cell, ...]:
    """Returns the 72 cells with blocks and rates, in the order of blocks.

    A block is a parity of the two-level factors (profile + saving + draw mod 2) and a sum of the three-level factors (a
    direction + b rescale + c mod 3, with a, b in {1, 2}); the rate is another such sum. a, b, c may differ between the
    eight combinations of two-level factors. Of `tries` random choices, the function takes the one with the largest
    determinant of the model's information matrix. Every block then has 12 cells: each direction, each rescale and each
    rate four times.
    """
    random = np.random.default_rng(seed)
    best: tuple[float, tuple[Cell, ...]] | None = None
    for _ in range(tries):
        cells = _chosen(random)
        x = model_matrix(cells)
        sign, size = np.linalg.slogdet(x.T @ x)
        if sign > 0 and (best is None or size > best[0]):
            best = float(size), cells
    assert best is not None
    return best[1]


def _chosen(random: np.random.Generator) -> tuple[Cell, ...]:
    pairs = list(product(range(2), repeat=3))
    block = {pair: (1, int(random.integers(1, 3)), int(random.integers(3))) for pair in pairs}
    rate = {pair: (1, 3 - block[pair][1], int(random.integers(3))) for pair in pairs}
    cells = []
    for d, p, r, s, w in product(*(range(len(names)) for names in FACTORS.values())):
        a, b, c = block[p, s, w]
        e, f, g = rate[p, s, w]
        cells.append(Cell((d, p, r, s, w), 3 * ((p + s + w) % 2) + (a * d + b * r + c) % 3, (e * d + f * r + g) % 3))
    return tuple(sorted(cells, key=lambda cell: (cell.block, cell.levels)))


def terms(cells: Sequence[Cell]) -> dict[str, Floats]:
    """Returns term -> its columns, (cells, degrees of freedom): blocks, main effects, two-factor interactions, and the
    terms of the rate.

    The columns are coded to sum to zero over a factor's levels, so a term's test does not depend on a choice of base
    levels.
    """
    coded = {
        factor: _coded([cell.levels[i] for cell in cells], len(names))
        for i, (factor, names) in enumerate(FACTORS.items())
    }
    rate = np.array([cell.rate - 1.0 for cell in cells])[:, None]
    found = {"seed": _coded([cell.block for cell in cells], BLOCKS), **coded}
    for one, other in combinations(FACTORS, 2):
        found[f"{one} x {other}"] = _products(coded[one], coded[other])
    found["rate"] = rate
    found["rate squared"] = rate**2 - 2 / 3
    found["rate x saving"] = _products(rate, coded["saving"])
    found["rate x rescale"] = _products(rate, coded["rescale"])
    return found


def model_matrix(cells: Sequence[Cell]) -> Floats:
    """Returns the intercept and all terms, (cells, parameters)."""
    return np.hstack([np.ones((len(cells), 1)), *terms(cells).values()])


def _coded(levels: Sequence[int], count: int) -> Floats:
    """Returns sum-to-zero coding, (n, count - 1): level i < count - 1 is the i-th unit vector, the last is all -1."""
    table = np.vstack([np.eye(count - 1), -np.ones(count - 1)])
    return np.asarray(table[list(levels)], dtype=np.float64)


def _products(one: Floats, other: Floats) -> Floats:
    return np.asarray(np.einsum("ni,nj->nij", one, other).reshape(len(one), -1))


@dataclass(frozen=True, slots=True)
class Tested:
    """One term of the fit: its degrees of freedom, F against the residual, and the p value of F."""

    term: str
    freedom: int
    f: float
    p: float


@dataclass(frozen=True, slots=True)
class Fit:
    """Least squares over the cells that have a value.

    sd: the residual standard deviation in nats, with `freedom` degrees of freedom.
    """

    tested: tuple[Tested, ...]
    sd: float
    freedom: int
    means: Mapping[str, tuple[float, ...]]
    """Factor -> the fitted mean of each level, averaged over the other factors, seeds and rates."""


def fit(cells: Sequence[Cell], values: Sequence[float]) -> Fit:
    """Computes partial F tests of every term but the seeds, from the growth of the residual sum of squares without it.

    Raises ValueError when the cells do not identify the model (an incomplete stage).
    """
    from scipy.special import fdtrc

    y, parts = np.asarray(values, dtype=np.float64), terms(cells)
    x = model_matrix(cells)
    freedom = len(cells) - x.shape[1]
    if freedom < 1 or np.linalg.matrix_rank(x) < x.shape[1]:
        raise ValueError(f"{len(cells)} cells do not identify a model of {x.shape[1]} parameters")
    coefficients, rest = _least_squares(x, y)
    variance = rest / freedom
    tested = []
    for term, columns in parts.items():
        if term != "seed":
            without = np.hstack([np.ones((len(cells), 1)), *(other for name, other in parts.items() if name != term)])
            f = (_least_squares(without, y)[1] - rest) / columns.shape[1] / variance
            tested.append(Tested(term, columns.shape[1], f, float(fdtrc(columns.shape[1], freedom, max(f, 0.0)))))
    return Fit(tuple(tested), float(np.sqrt(variance)), freedom, _means(parts, coefficients))


def _least_squares(x: Floats, y: Floats) -> tuple[Floats, float]:
    coefficients = np.asarray(np.linalg.lstsq(x, y, rcond=None)[0], dtype=np.float64)
    return coefficients, float(np.sum((y - x @ coefficients) ** 2))


def _means(parts: Mapping[str, Floats], coefficients: Floats) -> dict[str, tuple[float, ...]]:
    starts = dict(_starts(parts))
    means = {}
    for factor, names in FACTORS.items():
        effects = coefficients[starts[factor] : starts[factor] + len(names) - 1]
        means[factor] = tuple(float(coefficients[0] + effect) for effect in (*effects, -effects.sum()))
    return means


def _starts(parts: Mapping[str, Floats]) -> Iterator[tuple[str, int]]:
    at = 1
    for term, columns in parts.items():
        yield term, at
        at += columns.shape[1]
