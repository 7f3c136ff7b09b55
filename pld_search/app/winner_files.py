"""The winner of a study as a file to use again: its schedule, its experiment, or a study of it at the target size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pld_search.report.comparison import SystemRow
    from pld_search.spaces.study import Study
    from pld_search.specs.machine import Machine

PLD = "pld"


def tree_of(study: Study, row: SystemRow) -> Any:
    """The closed tree of a row of the comparison."""
    from pld_search.spaces.domains import close

    return close(study.tree_of(row.system), row.params)


def write_winner(
    kind: str, out: Path, winner: SystemRow, table: Sequence[SystemRow], folder: Path, machine: Machine
) -> None:
    """Write the winner of the study in `folder` as a `schedule`, an `experiment` or a `study`. Raises ConfigError for
    another file in its place.
    """
    from pld_search.app.find_study import recorded
    from pld_search.app.run_files import write_new
    from pld_search.specs.spec_files import written, written_experiment

    assert winner.experiment is not None
    about = f"{winner.label} of the study {folder.name}"
    if kind == "schedule":
        text = written(winner.experiment.schedule, f"The schedule of {about}")
    elif kind == "experiment":
        text = written_experiment(winner.experiment.model_copy(update={"test": None}))
    else:
        text = _study(out, winner, table, recorded(folder), machine, about)
    write_new(out, text)


def _study(out: Path, winner: SystemRow, table: Sequence[SystemRow], study: Study, machine: Machine, about: str) -> str:
    from pld_search.spaces.winner_study import Rows, winning_study
    from pld_search.specs.yaml_io import dump

    reference = reference_tree(study, table)
    rows = Rows(
        reference=reference,
        winner=None if winner.is_reference else tree_of(study, winner),
        pld=None if PLD in (winner.system, study.reference) else _pld(study, table, reference),
    )
    size = " at the target size" if study.target is not None else ""
    found = winning_study(study, rows, f"{about}, against its reference and pld{size}", machine.places)
    return f"# {about}, as a study{size}: pld-search plan {out}\n{dump(found)}"


def reference_tree(study: Study, table: Sequence[SystemRow]) -> Any:
    """The reference as it was run; without one the template at full depth."""
    from pld_search.spaces.domains import variants
    from pld_search.specs.written_schedules import schedule_tree

    for row in table:
        if row.is_reference:
            return tree_of(study, row)
    tree = variants(study.tree_of(study.reference))[0].copy()
    if study.reference is None:
        tree["schedule"] = schedule_tree("full")
    return tree


def _pld(study: Study, table: Sequence[SystemRow], reference: Any) -> Any:
    """pld as the study ran it; else the library's on the reference."""
    from pld_search.specs.written_schedules import schedule_tree

    for row in table:
        if row.system == PLD:
            return tree_of(study, row)
    tree = reference.copy()
    tree["schedule"] = schedule_tree(PLD)
    return tree
