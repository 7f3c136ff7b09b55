"""The cost of each row besides its FLOPs: text, seconds, memory, parameters, speed, time to the reference's loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pld_search.costs.memory import memory_of
from pld_search.costs.parameters import parameters_of
from pld_search.records.run_record import RunRecord
from pld_search.report.comparison import SystemRow
from pld_search.report.study_summary import Summary
from pld_search.report.time_to_loss import TimeToLoss, time_to_loss
from pld_search.specs.execution import Execution

TOO_FAST = 0.05
"""A measured speed is marked when it exceeds the speed that the saved FLOPs allow by this share: it has another cause
too.
"""
_SAME = 0.02  # epochs that differ by less count as equal


@dataclass(frozen=True, slots=True)
class RowCosts:
    """Means over finished seeds. epochs: the text read, as a multiple of the training split. seconds: of pre-training;
    seconds_ratio: divided by the reference's. memory_gb: the forecast of a step's peak. speed: (first quartile, value,
    third quartile) relative to full depth of the same architecture. allowed: 1 / (1 - saved FLOPs).
    """

    label: str
    tokens: float | None
    epochs: float | None
    seconds: float | None
    seconds_ratio: float | None
    memory_gb: float | None
    parameters: int | None
    speed: tuple[float | None, float | None, float | None]
    allowed: float | None
    to_loss: TimeToLoss | None

    @property
    def too_fast(self) -> bool:
        """Whether the measured speed exceeds the speed that the saved FLOPs allow by more than 5 %."""
        value = self.speed[1]
        return value is not None and self.allowed is not None and value > (1 + TOO_FAST) * self.allowed


def row_costs(table: Sequence[SystemRow], about: Summary) -> list[RowCosts]:
    """Returns the costs of every declared row that has a finished run, in the order of the table."""
    reference = next((row for row in table if row.is_reference), None)
    return [_costs(row, reference, about) for row in table if row.system is not None and row.finished]


def _costs(row: SystemRow, reference: SystemRow | None, about: Summary) -> RowCosts:
    tokens, text = row.mean("progress/tokens"), (about.corpus.get("tokens") or {}).get("train")
    seconds = row.mean("progress/seconds")
    theirs = reference.mean("progress/seconds") if reference is not None else None
    saved = row.mean("saved/flops")
    to_loss = None
    if reference is not None and row is not reference and row.objective == reference.objective:
        to_loss = time_to_loss(_finished(row), _finished(reference))
    what = row.experiment
    return RowCosts(
        label=row.label,
        tokens=tokens,
        epochs=tokens / text if tokens and text else None,
        seconds=seconds,
        seconds_ratio=seconds / theirs if seconds and theirs else None,
        memory_gb=_memory(row),
        parameters=None if what is None else parameters_of(what.model, what.pretraining),
        speed=(row.mean("speed/relative_q1"), row.mean("speed/relative"), row.mean("speed/relative_q3")),
        allowed=None if saved is None or saved >= 1 else 1 / (1 - saved),
        to_loss=to_loss,
    )


def _finished(row: SystemRow) -> dict[int, RunRecord]:
    return {index: run for index, run in row.runs.items() if run.state == "finished"}


def _memory(row: SystemRow) -> float | None:
    run = next((run for run in row.runs.values() if run.execution and run.micro_batch), None)
    if run is None or row.experiment is None or run.micro_batch is None:
        return None
    try:
        return memory_of(row.experiment, Execution.model_validate(dict(run.execution)), run.micro_batch).total / 1e9
    except ValueError:
        return None  # the execution was recorded by another version


def epoch_warning(rows: Sequence[RowCosts]) -> str:
    """Returns a warning when text was read more than once and not equally often by all rows; else an empty text."""
    epochs = {row.label: row.epochs for row in rows if row.epochs is not None}
    if not epochs or max(epochs.values()) <= 1 or max(epochs.values()) - min(epochs.values()) < _SAME:
        return ""
    most, least = max(epochs, key=epochs.__getitem__), min(epochs, key=epochs.__getitem__)
    return (
        f"Rows read the text unequally often, and more than once: {most} {epochs[most]:.2f} epochs, {least} "
        f"{epochs[least]:.2f}. What was read twice teaches less, so that the comparison favours the rows "
        "that read less."
    )
