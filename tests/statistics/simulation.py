"""Simulated studies judged by `compare`: how often its verdicts are wrong, its intervals cover, its promises hold.

`python -m tests.statistics.simulation 4000` prints the table of docs/decisions/0020-verdicts.md.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pld_search.statistics.blocked import Variance
from pld_search.statistics.compare import Row, compare
from pld_search.statistics.power import Design, detectable, power_to_show_equal
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

    def drawn(
        self, repetitions: int, seed: int
    ) -> Iterator[tuple[dict[str, dict[int, float]], dict[str, Variance] | None]]:
        """Values of simulated studies, and what documents add to the variance of each difference."""
        generator = np.random.default_rng(seed)
        shape = (repetitions, self.systems, self.seeds)
        stretched = np.ones(self.systems)
        stretched[self.systems - len(self.ratios) :] = self.ratios
        noise = generator.standard_normal(shape) * math.sqrt(1 - self.rho) * stretched[:, None]
        numbers = noise + math.sqrt(self.rho) * generator.standard_normal((repetitions, 1, self.seeds))
        over_text = self.text * self.unit / math.sqrt(2)
        numbers += self.differences[:, None] + over_text * generator.standard_normal((repetitions, self.systems, 1))
        documents = {f"r{row}": Variance((self.text * self.unit) ** 2, 511) for row in range(1, self.systems)}
        for values in numbers:
            yield (
                {f"r{row}": dict(enumerate(runs)) for row, runs in enumerate(values.tolist())},
                documents if self.text else None,
            )

    @property
    def architecture(self) -> dict[str, bool]:
        """Which rows are of the reference's architecture."""
        others = len(self.ratios) if self.declared else 0
        return {f"r{row}": row < self.systems - others for row in range(self.systems)}


@dataclass(frozen=True, slots=True)
class Tally:
    """Shares of studies: any false verdict, every interval over the truth; of each row: better or worse, equal."""

    errors: float
    covered: float
    resolved: NDArray[np.float64]
    equal: NDArray[np.float64]


def wrong(row: Row, true: float) -> bool:
    """Whether a verdict is false: another sign than the truth, or equal where the truth is at the margin or beyond."""
    if row.verdict is Verdict.EQUAL:
        assert row.margin is not None
        return abs(true) >= row.margin * (1 - 1e-9)
    signs = {Verdict.BETTER: -1, Verdict.WORSE: 1}
    return row.verdict in signs and np.sign(true) != signs[row.verdict]


def simulate(study: Study, repetitions: int, seed: int = 0) -> Tally:
    """Judges `repetitions` simulated studies."""
    errors, covered = 0, 0
    resolved, equal = np.zeros(study.systems - 1), np.zeros(study.systems - 1)
    margin = None if study.margin is None else study.margin * study.unit
    truths = study.differences[1:].tolist()
    for values, documents in study.drawn(repetitions, seed):
        found = compare(values, "r0", architecture=study.architecture, margin=margin, documents=documents)
        errors += any(wrong(row, true) for row, true in zip(found.rows, truths, strict=True))
        halves = [row.half_width or 0.0 for row in found.rows]
        covered += all(
            abs(row.difference - true) <= half for row, true, half in zip(found.rows, truths, halves, strict=True)
        )
        resolved += [row.verdict in (Verdict.BETTER, Verdict.WORSE) for row in found.rows]
        equal += [row.verdict is Verdict.EQUAL for row in found.rows]
    return Tally(errors / repetitions, covered / repetitions, resolved / repetitions, equal / repetitions)


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
    study, count = Study(systems, looks[-1], rho=0.7), 0
    for values, _ in study.drawn(repetitions, seed):
        seen = [{row: dict(list(runs.items())[:n]) for row, runs in values.items()} for n in looks]
        rows = [row for part in seen for row in compare(part, "r0", looks=len(looks)).rows]
        count += any(row.verdict is not Verdict.UNDECIDED for row in rows)
    return count / repetitions


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
    """Prints the table: errors and coverage in percent for each scenario, then power promised and found."""
    for systems, seeds in DESIGNS:
        for rho in CORRELATIONS:
            print(f"\n{systems} rows x {seeds} seeds, rho {rho}: any false verdict %, every interval covers %")
            for name, study in scenarios(systems, seeds, rho).items():
                found = simulate(study, repetitions)
                print(f"  {name:26} {100 * found.errors:5.1f} {100 * found.covered:6.1f}", flush=True)
            powers = [f"{100 * share:.1f}" for share in promised_and_found(systems, seeds, rho, repetitions)]
            print(f"  power promised {powers[0]}, found {powers[1]}; equal promised {powers[2]}, found {powers[3]}")
    print(f"\nthree looks (3, 5, 8 seeds), 4 rows: {100 * errors_with_looks(4, (3, 5, 8), repetitions):.1f} %")


if __name__ == "__main__":
    main(int(sys.argv[1]))
