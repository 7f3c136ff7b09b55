"""The table of a plan: one line for each configuration, with the columns that have values and fit the width."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pld_search.cli.output import wrapped
from pld_search.report.number_text import duration
from pld_search.report.row_names import sampled_text
from pld_search.schedules.staged_values import stages_text

Row = dict[str, Any]
_COLUMNS: tuple[tuple[str, int, Callable[[Row], str]], ...] = (
    ("layers", 8, lambda row: _depth(row)),
    ("steps", 10, lambda row: f"{row['steps']:,}"),
    ("kept", 7, lambda row: f"{row['expected_layers_mean']:.2f}"),
    ("at end", 8, lambda row: f"{row['expected_layers_end']:.2f}"),
    ("saved", 8, lambda row: f"{100 * row['saved_block_flops']:.1f} %"),
    ("TFLOP", 9, lambda row: f"{row['tflop']:,.2f}"),
    ("time", 13, lambda row: duration(row["seconds"]) if row["seconds"] is not None else ""),
    ("runs", 6, lambda row: str(row["runs"]) if "runs" in row else ""),
)
"""Heading, minimum width, and a function for the cell of a row; a column without any cell text is left out."""


def plan_table(rows: Sequence[Row], of: Sequence[Row], width: int, *, headings: bool = True) -> Iterator[str]:
    """Yields the lines of `rows`, in the columns that suit all rows of the plan (`of`).

    Details that do not fit into a row stand below it: a schedule of another name, sampled values, growing lengths and
    batches, and the row whose results count for an equal row.
    """
    shown = [(name, least, cell) for name, least, cell in _COLUMNS if any(cell(row) for row in of)]
    sizes = [max(least, *(len(cell(row)) + 2 for row in of)) for _, least, cell in shown]
    names = max([12, *(len(_name(row)) + 2 for row in of)])
    while len(shown) > 5 and names + sum(sizes) > width:
        gone = next(index for index, (name, _, _) in enumerate(shown) if name in ("at end", "layers", "time"))
        del shown[gone], sizes[gone]
    if names + sum(sizes) > width:
        names = max(12, width - sum(sizes))
    if headings:
        yield f"{'system':<{names}}" + "".join(
            f"{name:>{size}}" for (name, _, _), size in zip(shown, sizes, strict=True)
        )
    for row in rows:
        cells = "".join(f"{cell(row):>{size}}" for (_, _, cell), size in zip(shown, sizes, strict=True))
        name = _name(row)
        if len(name) >= names:
            yield name
            name = ""
        yield f"{name:<{names}}{cells}".rstrip()
        for note in _below(row):
            yield from wrapped(f"    {note}", width)


def _name(row: Row) -> str:
    if "params" in row:
        return "  sampled"
    return (row["system"] or "run") + (f" (tune {row['tune']})" if row["tune"] else "")


def _below(row: Row) -> Iterator[str]:
    if "params" in row:
        yield sampled_text(row["schedule"], row["params"])
    elif row["schedule"] != row["system"]:
        yield f"schedule {row['schedule']}"
    if not isinstance(row["length"], int):
        yield f"length {stages_text(row['length'])}"
    if not isinstance(row["sequences"], int):
        yield f"sequences {stages_text(row['sequences'])}"
    if row.get("equal_to"):
        yield f"equal to {row['equal_to']}: its results count"


def _depth(row: Row) -> str:
    """Formats the depth: `12`, or `3>6>12` for a growing stack."""
    if row["growth"] is None:
        return str(row["layers"])
    return ">".join(str(layers) for _, layers in row["growth"]["stages"])
