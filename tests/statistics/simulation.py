"""Simulated studies judged by `compare`: how often its verdicts are wrong, its intervals cover, its promises hold.

`python -m tests.statistics.simulation 20000` prints the table of docs/decisions/0020-verdicts.md.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as f_distribution

from pld_search.statistics.blocked import SUSPECTED, Variance, pairs, welch
from pld_search.statistics.compare import LOOKS, Comparison, compare
from pld_search.statistics.interval import SimultaneousInterval
from pld_search.statistics.power import Design, RowSeeds, detectable, power_to_show_equal, seeds_after
from pld_search.statistics.verdict import Verdict

DESIGNS = ((8, 3), (4, 3), (9, 4))
CORRELATIONS = (0.0, 0.7, 0.9)


@dataclass(frozen=True, slots=True)
class Study:
    """What is simulated: `systems` rows by `seeds` seeds, deviation 1 of a run, correlation `rho` of runs of one seed.

    `ratios` stretch the residual of the last rows; with `declared` these are rows of another architecture. `effects`
    are true differences to row 0, in deviations of an unstretched difference, of the rows from 1 on. `text` is the
    deviation of a difference over documents, in the same unit.
    """

    systems: int
    seeds: int
    rho: float = 0.0
    ratios: tuple[float, ...] = ()
    declared: bool = True
    effects: tuple[float, ...] = ()
    margin: float | None = None
    text: float = 0.0

    @property
    def unit(self) -> float:
        """The deviation of a difference between two unstretched rows."""
        return math.sqrt(2 * (1 - self.rho) / self.seeds)

    @property
    def differences(self) -> NDArray[np.float64]:
        """The true differences of all rows, row 0 first."""
        true = np.zeros(self.systems)
        true[1 : 1 + len(self.effects)] = np.array(self.effects) * self.unit
        return true

    @property
    def text_variance(self) -> Variance | None:
        """What documents add to the variance of each difference."""
        return Variance((self.text * self.unit) ** 2, 511) if self.text else None

    def drawn(self, repetitions: int, seed: int) -> NDArray[np.float64]:
        """Values of simulated studies: repetitions x systems x seeds."""
        generator = np.random.default_rng(seed)
        stretched = np.ones(self.systems)
        stretched[self.systems - len(self.ratios) :] = self.ratios
        noise = generator.standard_normal((repetitions, self.systems, self.seeds)) * stretched[:, None]
        shared = generator.standard_normal((repetitions, 1, self.seeds))
        over_text = self.text * self.unit / math.sqrt(2) * generator.standard_normal((repetitions, self.systems, 1))
        numbers: NDArray[np.float64] = math.sqrt(1 - self.rho) * noise + math.sqrt(self.rho) * shared
        return numbers + self.differences[:, None] + over_text

    @property
    def architecture(self) -> dict[str, bool]:
        """Which rows are of the reference's architecture."""
        others = len(self.ratios) if self.declared else 0
        return {f"r{row}": row < self.systems - others for row in range(self.systems)}


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts of many studies at once, repetitions x rows without the reference, and their half-widths."""

    differences: NDArray[np.float64]
    half_widths: NDArray[np.float64]
    inner_half_widths: NDArray[np.float64]
    margin: float | None

    @property
    def equal(self) -> NDArray[np.bool_]:
        """Where the verdict is equal within the margin."""
        if self.margin is None:
            return np.zeros(self.differences.shape, bool)
        return np.abs(self.differences) + self.inner_half_widths < self.margin

    @property
    def resolved(self) -> NDArray[np.bool_]:
        """Where the verdict is better or worse."""
        return (np.abs(self.differences) > self.half_widths) & ~self.equal

    def wrong(self, truths: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Studies with a false verdict: another sign than the truth, or equal where it is at the margin or beyond."""
        signs = self.resolved & (np.sign(self.differences) != np.sign(truths))
        margins = False if self.margin is None else self.equal & (np.abs(truths) >= self.margin * (1 - 1e-9))
        return (signs | margins).any(1)

    def covered(self, truths: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Studies all of whose intervals hold the truth."""
        return (np.abs(self.differences - truths) <= self.half_widths).all(1)


def judge(study: Study, numbers: NDArray[np.float64], looks: int = 1) -> Judged:
    """What `compare` does, for many studies without holes at once; a test holds the two together."""
    count = len(numbers)
    n, k = study.seeds, study.systems - 1
    alike = study.systems - (len(study.ratios) if study.declared else 0)
    part = 0.05 / looks / k
    text = study.text_variance
    pool = numbers[:, :alike]
    residuals = pool - pool.mean(1, keepdims=True) - pool.mean(2, keepdims=True) + pool.mean((1, 2), keepdims=True)
    squares = (residuals**2).sum((1, 2))
    half, inner = np.zeros((count, k)), np.zeros((count, k))
    if alike > 1:
        pooled = 2 / n * squares / ((alike - 1) * (n - 1))
        widths = _widths(pooled, np.full(count, (alike - 1) * (n - 1)), text, alike - 1, part)
        half[:, : alike - 1], inner[:, : alike - 1] = (width[:, None] for width in widths)
    paired = (numbers[:, 1:] - numbers[:, :1]).var(2, ddof=1) / n
    for row in range(alike - 1, k):
        half[:, row], inner[:, row] = _widths(paired[:, row], np.full(count, n - 1), text, 1, part)
    for study_index, wide in _wide(pool, squares):
        for row in range(alike - 1):
            if wide[0] or wide[row + 1]:
                own = _own(pool[study_index], wide, row + 1)
                widths = _widths(np.array([own.value]), np.array([own.freedom]), text, 1, part)
                half[study_index, row] = max(half[study_index, row], widths[0][0])
                inner[study_index, row] = max(inner[study_index, row], widths[1][0])
    differences = numbers[:, 1:].mean(2) - numbers[:, :1].mean(2)
    return Judged(differences, half, inner, None if study.margin is None else study.margin * study.unit)


def _widths(
    variances: NDArray[np.float64],
    freedoms: NDArray[np.float64],
    text: Variance | None,
    family: int,
    part: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both half-widths of differences with one number of degrees of freedom."""
    interval = SimultaneousInterval(Variance(1.0, float(freedoms[0])), text, family, family * part)
    if text is None:
        return interval.half_width() * np.sqrt(variances), interval.equivalence_half_width() * np.sqrt(variances)
    scales = np.sqrt(variances)
    return interval.half_widths(scales), interval.equivalence_half_widths(scales)


def _wide(pool: NDArray[np.float64], squares: NDArray[np.float64]) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Studies with a row that is suspected of a wider spread, and which rows."""
    m, n = pool.shape[1] - 1, pool.shape[2]
    if m < 2:
        return
    own = (pool - (pool.sum(1, keepdims=True) - pool) / m).var(2, ddof=1) * m / (m + 1)
    others = (squares[:, None] - (n - 1) * own) / ((m - 1) * (n - 1))
    wide = f_distribution.sf(own / others, n - 1, (m - 1) * (n - 1)) <= SUSPECTED
    for study_index in np.flatnonzero(wide.any(1)):
        yield int(study_index), wide[study_index]


def _own(pool: NDArray[np.float64], wide: NDArray[np.bool_], row: int) -> Variance:
    """The variance of a difference by the spread of the wide row, as `compare` takes it."""
    values = {str(index): dict(enumerate(runs)) for index, runs in enumerate(pool.tolist())}
    alike = [str(index) for index in np.flatnonzero(~wide)]
    one_is_wide = bool(wide[0]) != bool(wide[row]) and len(alike) > 1
    found = welch(values, str(row), "0", alike) if one_is_wide else pairs(values, str(row), "0")
    assert found.variance is not None
    return found.variance


@dataclass(frozen=True, slots=True)
class Tally:
    """Shares of studies: any false verdict, every interval over the truth; of each row: better or worse, equal."""

    errors: float
    covered: float
    resolved: NDArray[np.float64]
    equal: NDArray[np.float64]


def simulate(study: Study, repetitions: int, seed: int = 0) -> Tally:
    """Judges `repetitions` simulated studies."""
    found = judge(study, study.drawn(repetitions, seed))
    truths = study.differences[1:]
    errors, covered = float(found.wrong(truths).mean()), float(found.covered(truths).mean())
    return Tally(errors, covered, found.resolved.mean(0), found.equal.mean(0))


def compared(study: Study, numbers: NDArray[np.float64]) -> Comparison:
    """One simulated study, judged by `compare` itself."""
    values = {f"r{row}": dict(enumerate(runs)) for row, runs in enumerate(numbers.tolist())}
    text = study.text_variance
    return compare(
        values,
        "r0",
        architecture=study.architecture,
        margin=None if study.margin is None else study.margin * study.unit,
        documents=None if text is None else dict.fromkeys(values, text),
    )


def at_margins(study: Study, zero: int) -> Study:
    """The study with `zero` rows without a difference, and the others at the upper and lower margins in turn."""
    design = Design(study.systems, study.seeds, 1.0, study.rho)
    interval = design.interval()
    assert interval is not None
    margin = 1.3 * interval.equivalence_half_width() / study.unit
    signs = [0.0 if row < zero else (-1.0) ** row for row in range(study.systems - 1)]
    return replace(study, margin=margin, effects=tuple(margin * sign for sign in signs))


def errors_with_looks(systems: int, looks: Sequence[int], repetitions: int, seed: int = 0) -> float:
    """Studies without a difference in which any declared look (numbers of seeds, in order) gives a false verdict."""
    last = Study(systems, looks[-1], rho=0.7)
    numbers, wrong = last.drawn(repetitions, seed), np.zeros(repetitions, bool)
    for seeds in looks:
        study = replace(last, seeds=seeds)
        wrong |= judge(study, numbers[:, :, :seeds], len(looks)).wrong(study.differences[1:])
    return float(wrong.mean())


def bought(study: Study, cap: int, repetitions: int, seed: int = 0) -> tuple[float, float, float]:
    """Studies judged in three declared looks with seeds bought between them, by `compare` and `seeds_after`: shares
    with a false verdict and with every row decided; seeds of all rows together, as a share of `cap` for each.
    """
    most = replace(study, seeds=cap)
    most = replace(most, effects=tuple(effect * study.unit / most.unit for effect in study.effects))
    numbers = most.drawn(repetitions, seed)
    truths = dict(zip([f"r{row}" for row in range(study.systems)], study.differences, strict=True))
    margin = None if study.margin is None else study.margin * study.unit
    wrong = whole = spent = 0
    for values in numbers:
        seeds, decided = dict.fromkeys(truths, study.seeds), dict[str, Verdict]()
        for _ in range(LOOKS):
            there = {row: dict(enumerate(values[int(row[1:])][:count].tolist())) for row, count in seeds.items()}
            found = compare(there, "r0", margin=margin, looks=LOOKS)
            standings = []
            for row in found.rows:
                if row.verdict is not Verdict.UNDECIDED:
                    decided.setdefault(row.name, row.verdict)
                more = None if row.name in decided else row.more_seeds(most=cap - len(row.seeds))
                standings.append(RowSeeds(row.name, len(row.seeds), more))
            after = seeds_after(standings, "r0")
            seeds |= after
            if not after:
                break
        wrong += any(_false(decided[row], truths[row], margin) for row in decided)
        whole += len(decided) == len(truths) - 1
        spent += sum(seeds.values())
    return wrong / repetitions, whole / repetitions, spent / (repetitions * cap * study.systems)


def _false(verdict: Verdict, truth: float, margin: float | None) -> bool:
    """Whether a verdict contradicts the true difference; less is better."""
    if verdict is Verdict.EQUAL:
        return margin is not None and abs(truth) >= margin * (1 - 1e-9)
    return (verdict is Verdict.BETTER) != (truth < 0) or truth == 0


def promised_and_found(systems: int, seeds: int, rho: float, repetitions: int) -> tuple[float, float, float, float]:
    """Power to detect what the design detects with 80 %; power promised and found to show that equal rows are equal."""
    design = Design(systems, seeds, 1.0, rho)
    effect = detectable(design)
    assert effect is not None
    study = Study(systems, seeds, rho)
    one = replace(study, effects=(effect / study.unit,))
    interval = design.interval()
    assert interval is not None
    margin = 1.8 * interval.equivalence_half_width()
    equal = simulate(replace(study, margin=margin / study.unit), repetitions, seed=1).equal.mean()
    found = simulate(one, repetitions, seed=2).resolved[0]
    return 0.8, float(found), power_to_show_equal(design, margin), float(equal)


def scenarios(systems: int, seeds: int, rho: float) -> Mapping[str, Study]:
    """The truths and spreads over which errors and coverage are simulated."""
    study = Study(systems, seeds, rho)
    half = systems // 2
    return {
        "no difference": study,
        "all at the margins": at_margins(study, 0),
        "half at the margins": at_margins(study, half),
        "one row x 2, declared": replace(study, ratios=(2.0,)),
        "one row x 4, declared": replace(study, ratios=(4.0,)),
        "half x 4, declared": replace(study, ratios=(4.0,) * half),
        "one row x 2, undeclared": replace(study, ratios=(2.0,), declared=False),
        "one row x 4, undeclared": replace(study, ratios=(4.0,), declared=False),
        "half x 4, undeclared": replace(study, ratios=(4.0,) * half, declared=False),
        "text as large as seeds": replace(study, text=1.0),
    }


def main(repetitions: int) -> None:
    """Prints the table: errors and coverage in percent for each scenario, then power promised and found.

    Blocking takes the effects of seeds out exactly, so that one correlation stands for all; the soak tests run three.
    """
    rho = CORRELATIONS[1]
    for systems, seeds in DESIGNS:
        print(f"\n{systems} rows x {seeds} seeds, rho {rho}: any false verdict %, every interval covers %")
        for name, study in scenarios(systems, seeds, rho).items():
            found = simulate(study, repetitions)
            print(f"  {name:26} {100 * found.errors:5.1f} {100 * found.covered:6.1f}", flush=True)
        powers = [f"{100 * share:.1f}" for share in promised_and_found(systems, seeds, rho, repetitions)]
        print(f"  power promised {powers[0]}, found {powers[1]}; equal promised {powers[2]}, found {powers[3]}")
    print(f"\nthree looks (3, 5, 8 seeds), 4 rows: {100 * errors_with_looks(4, (3, 5, 8), repetitions):.1f} %")


if __name__ == "__main__":
    main(int(sys.argv[1]))
