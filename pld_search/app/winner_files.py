"""Writes the winner of a study as a file: its schedule, its experiment, or a study of it at the target size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pld_search.app.find_study import definition_in, recorded
from pld_search.app.run_files import write_new
from pld_search.app.schema_files import modeline
from pld_search.costs.open_numbers import openings
from pld_search.errors import NothingFeasible
from pld_search.records.definition import StudyDefinition
from pld_search.records.study_record import StudyView, run_folder, view
from pld_search.report.comparison import SystemRow, comparison
from pld_search.report.leading_row import leader
from pld_search.report.study_summary import summary
from pld_search.spaces.domains import close, variants
from pld_search.spaces.study import Study
from pld_search.spaces.winner_study import Rows, changed, winning_study
from pld_search.specs.machine import Machine
from pld_search.specs.spec_files import written_experiment
from pld_search.specs.written_schedules import schedule_tree
from pld_search.specs.yaml_io import copied, dump, plain

PLD = "pld"


def tree_of(study: Study, row: SystemRow) -> Any:
    """Returns the closed tree of a row of the comparison."""
    return close(study.tree_of(row.system), row.params)


def schedule_of(definition: StudyDefinition, row: SystemRow) -> dict[str, Any]:
    """Returns the schedule of a row without empty keys; a `{saving: ...}` keeps the form that the study has."""
    assert row.experiment is not None
    tree = definition.experiment_of(row.system)
    solved = bool(openings(tree.get("schedule")))
    found = (
        plain(close(copied(tree), row.params)["schedule"])
        if solved
        else row.experiment.schedule.model_dump(mode="json")
    )
    return {key: value for key, value in found.items() if value not in (None, "")}


def changes_of(row: SystemRow, table: Sequence[SystemRow]) -> dict[str, Any]:
    """Returns the differences of a row's experiment to the reference's by dotted keys, without schedule and steps."""
    reference = next((other.experiment for other in table if other.is_reference), None)
    if reference is None or row.experiment is None:
        return {}
    apart = {"schedule", "steps", "seed"}
    return changed(
        reference.model_dump(mode="json", exclude=apart), row.experiment.model_dump(mode="json", exclude=apart)
    )


def winner_of(folder: Path) -> SystemRow | None:
    """Returns the row of a study that leads by its objective; None before any run has finished."""
    if not (folder / "study.jsonl").is_file():
        return None
    return _leader_of(view(folder))


def _leader_of(seen: StudyView) -> SystemRow | None:
    return leader(comparison(seen, leading=True, judged=False), summary(seen))


def winning_run(seen: StudyView, winner: SystemRow) -> Path | None:
    """Returns the folder of the winner's first finished run; None without one."""
    finished = [index for index, run in sorted(winner.runs.items()) if run.state == "finished"]
    return run_folder(seen.folder, seen.study.trials[winner.trial], finished[0]) if finished else None


def winning_run_in(folder: Path) -> Path:
    """Returns the folder of the run that represents a study, the winner's first finished run. Raises NothingFeasible
    without one.
    """
    seen = view(folder)
    winner = _leader_of(seen)
    run = None if winner is None else winning_run(seen, winner)
    if run is None:
        raise NothingFeasible(f"{folder}: no row has finished runs and breaks no constraint, so none is best")
    return run


def write_winner(
    kind: str, out: Path, winner: SystemRow, table: Sequence[SystemRow], folder: Path, machine: Machine
) -> None:
    """Writes the winner of the study in `folder` as a `schedule`, an `experiment` or a `study`. Raises ConfigError when
    another file is in its place.
    """
    assert winner.experiment is not None
    about = f"{winner.label} of the study {folder.name}"
    if kind == "schedule":
        first = modeline("schedule", Path(machine.cache))
        text = f"{first}# The schedule of {about}\n{dump(schedule_of(StudyDefinition(definition_in(folder)), winner))}"
    elif kind == "experiment":
        text = written_experiment(winner.experiment.model_copy(update={"test": None}))
    else:
        text = modeline("study", Path(machine.cache))
        text += _study(out, winner, table, recorded(folder), machine, about)
    write_new(out, text)


def _study(out: Path, winner: SystemRow, table: Sequence[SystemRow], study: Study, machine: Machine, about: str) -> str:

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
    """Returns the reference as it was run; for a study without a reference, the template at full depth."""
    for row in table:
        if row.is_reference:
            return tree_of(study, row)
    tree = variants(study.tree_of(study.reference))[0].copy()
    if study.reference is None:
        tree["schedule"] = schedule_tree("full")
    return tree


def _pld(study: Study, table: Sequence[SystemRow], reference: Any) -> Any:
    """Returns pld as the study ran it, else the library's pld on the reference."""
    for row in table:
        if row.system == PLD:
            return tree_of(study, row)
    tree = reference.copy()
    tree["schedule"] = schedule_tree(PLD)
    return tree


def described_winner(winner: SystemRow, objective: str) -> dict[str, Any]:
    """Returns the winner as JSON values; its schedule and experiment are the ones of seed index 0."""
    assert winner.experiment is not None
    return {
        "label": winner.label,
        "trial": winner.trial,
        "system": winner.system,
        "objective": objective,
        "value": winner.metrics[objective].mean,
        "params": winner.params,
        "digest": winner.experiment.digest,
        "schedule": winner.experiment.schedule.model_dump(mode="json"),
        "experiment": winner.experiment.model_dump(mode="json"),
    }
