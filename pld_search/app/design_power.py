"""The power of a design before it runs: the smallest detectable difference, and the seeds that detect an effect."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pld_search.records.study_record import view
from pld_search.report.judged import architecture
from pld_search.spaces.decide import Decide
from pld_search.spaces.study import Study
from pld_search.statistics.blocked import Values, fit
from pld_search.statistics.power import Design, detectable, detectable_between, power_to_show_equal, seeds_needed


@dataclass(frozen=True, slots=True)
class Deviation:
    """The deviation of a run without its seed's effect, in the metric's unit; `freedom` is None when it was stated."""

    sd: float
    by: str
    freedom: float | None = None


@dataclass(frozen=True, slots=True)
class Power:
    """The power of a design in a plan. `detectable` is in the metric's unit, or in residual deviations when `sd` is
    None.

    between: the interval of `detectable` when few runs measured the deviation. own: the detectable difference for rows
    of another architecture, which are judged by their own pairs. equal, equal_own: the probabilities that a row without
    a difference is called equal, when the study states a margin in the unit of the metric. wanted: an effect that the
    user asked for; needed: its number of seeds (None: more than `max_seeds`); tflop: the cost of all rows with this
    number of seeds.
    """

    primary: str
    seeds: int
    rows: int
    other: int
    sd: float | None
    by: str
    detectable: float | None
    own: float | None
    between: tuple[float, float] | None
    power: float
    margin: float | None = None
    equal: float | None = None
    equal_own: float | None = None
    wanted: float | None = None
    needed: int | None = None
    tflop: float | None = None

    @property
    def values(self) -> dict[str, Any]:
        """The values as JSON."""
        return asdict(self)


def power_of(study: Study, rows: Sequence[Mapping[str, Any]], runs: Path, wanted: float | None) -> Power | None:
    """Returns the power of a study's design for its primary metric; None for a study that compares no systems.

    rows: a plan's systems (`architecture`, `tflop`). runs: the folder of all studies, which may contain a measured
    deviation: from the study that `decide.spread` names, or from this study's finished runs.
    """
    if study.reference is None or len(study.systems) < 2:
        return None
    decide = study.decide or Decide()
    primary = decide.primary or ("test/loss" if study.confirm is not None else "valid/loss")
    reference = next(row for row in rows if row["system"] == study.reference)
    rows = [row for row in rows if row.get("budget_share", 1.0) == 1]  # a row with another budget is not judged
    other = sum(row["architecture"] != reference["architecture"] for row in rows)
    seeds = study.confirm.seeds if study.confirm is not None else study.common_seeds
    known = _deviation(study, decide, primary, runs)
    design = Design(len(rows), seeds, known.sd if known else 1.0, other=other, alpha=decide.alpha)
    between = None
    if known is not None and known.freedom:
        between = detectable_between(design, known.freedom, decide.power)
    found = Power(
        primary=primary,
        seeds=seeds,
        rows=len(rows),
        other=other,
        sd=known.sd if known else None,
        by=known.by if known else "not known",
        detectable=detectable(design, decide.power) if design.alike else None,
        own=detectable(design, decide.power, own=True) if other else None,
        between=between,
        power=decide.power,
        margin=decide.margin_value,
        equal=_equal(design, known, decide) if design.alike else None,
        equal_own=_equal(design, known, decide, own=True) if other else None,
    )
    return found if wanted is None or known is None else _for_effect(found, design, wanted, decide, rows)


def _equal(design: Design, known: Deviation | None, decide: Decide, own: bool = False) -> float | None:
    """Returns the probability that a row without a difference is called equal; None without a margin in the metric's
    unit or without a spread.
    """
    if known is None or decide.margin_value is None:
        return None
    return power_to_show_equal(design, decide.margin_value, own=own)


def _for_effect(
    found: Power, design: Design, wanted: float, decide: Decide, rows: Sequence[Mapping[str, Any]]
) -> Power:
    """Adds the seeds that detect `wanted` between rows of the reference's architecture (by pairs without such rows)."""
    needed = seeds_needed(design, wanted, decide.power, own=not design.alike)
    tflop = None if needed is None else needed * math.fsum(row["tflop"] for row in rows)
    return replace(found, wanted=wanted, needed=needed, tflop=tflop)


def _deviation(study: Study, decide: Decide, primary: str, runs: Path) -> Deviation | None:
    """Returns the stated deviation, else the one an earlier study measured, else the one of this study's
    finished runs.
    """
    if isinstance(decide.spread, float):
        return Deviation(decide.spread, "as stated in decide.spread")
    name = decide.spread or study.name
    measured = measured_deviation(runs / name, primary)
    return None if measured is None else replace(measured, by=f"by the finished runs of {name}")


def measured_deviation(folder: Path, primary: str) -> Deviation | None:
    """Returns the residual of a study's finished runs after removing systems and seeds, for the reference's
    architecture.

    Returns None when there is no such study, or when fewer than two rows share two seeds.
    """
    if not (folder / "study.jsonl").is_file():
        return None
    values, reference = finished_values(folder, primary)
    shared = [row for row, runs in values.items() if len(runs) > 1]
    if reference not in shared or len(shared) < 2:
        return None
    residual = fit({row: values[row] for row in shared}, shared, reference).residual
    return None if residual is None else Deviation(math.sqrt(residual.value), "", residual.freedom)


def finished_values(folder: Path, primary: str) -> tuple[Values, str]:
    """Returns (system -> seed index -> value of its finished runs, the reference), for rows of its architecture
    only.
    """
    seen = view(folder)
    reference = seen.study.definition.reference or ""
    trials = [trial for trial in seen.study.trials.values() if trial.system is not None and trial.kind == "system"]
    built = {trial.system: architecture(trial.experiment) for trial in trials}
    values: dict[str, dict[int, float]] = {}
    for trial in trials:
        if trial.system is None or built[trial.system] != built.get(reference):
            continue
        for index in trial.seeds:
            run = seen.runs[trial.number, index]
            if run.state == "finished" and primary in run.final:
                values.setdefault(trial.system, {})[index] = run.final[primary]
    return values, reference
