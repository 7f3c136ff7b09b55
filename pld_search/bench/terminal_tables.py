"""The measurements of `bench` for a terminal of 80 columns: speed and costs."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from pld_search.bench.figures import Figure, FigureRow
from pld_search.bench.suite import BenchRequest, Result

_NAME = 23
_LEGEND = (
    "Medians of turns, with quartiles. time, FLOPs: over full depth of the same kind, of turns side by side. "
    "excess: time over what the FLOPs of the same turn leave; 0 where a saved FLOP is a saved second. "
    "outside: share of a step that is not forward, backward or optimizer. forward: sequences of one. "
    "forecast: of the peak, by the shapes alone, without what allocator and libraries take."
)


def show(request: BenchRequest, result: Result) -> None:
    """Prints both tables and the meaning of their columns to stdout."""
    console = Console(width=None if Console().is_terminal else 80, highlight=False)
    head = f"{request.shape}, {result.sequences} x {request.length} tokens a step, {request.precision}"
    console.print(f"{head}\n{result.provenance['device']}, {result.provenance['threads']} threads\n", markup=False)
    console.print(_speed(result))
    console.print()
    console.print(_price(result))
    console.print()
    console.print(_LEGEND, style="dim", markup=False)
    console.print(
        f"MFU: of {result.matrix_rate / 1e9:,.0f} GFLOP/s on square products alone. Input alone: "
        f"{result.pipeline.median:,.0f} tokens/s."
    )
    if result.loss_difference is not None:
        console.print(
            f"Losses of {request.loss_steps} steps without dropout: at most {result.loss_difference:.1e} "
            "nats from the Trainer's."
        )


def _speed(result: Result) -> Table:
    table = _table("step ms", "tokens/s", "time", "FLOPs", "excess")
    for row in result.rows:
        table.add_row(
            row.name,
            _two_lines(row.step_ms, ",.0f" if row.step_ms.median >= 1000 else ".1f"),
            f"{row.tokens_per_second.median:,.0f}",
            "1" if row.ratio is None else _two_lines(row.ratio, ".3f"),
            "" if row.flops_ratio is None else f"{row.flops_ratio:.3f}",
            "" if row.excess is None else f"{100 * (row.excess.median - 1):+.1f} %",
        )
    return table


def _price(result: Result) -> Table:
    table = _table("MFU", "outside", "forward", "peak MB", "forecast", "warm-up s")
    for row in result.rows:
        table.add_row(
            row.name,
            f"{100 * result.mfu(row):.0f} %",
            "" if row.outside is None else f"{100 * row.outside:.1f} %",
            str(row.micro_batch),
            f"{row.peak_bytes / 1e6:,.0f}",
            _forecast(row),
            f"{row.warm_up_seconds:.1f}",
        )
    return table


def _forecast(row: FigureRow) -> str:
    return "" if row.forecast_bytes is None else f"{row.forecast_bytes / 1e6:,.0f}"


def _table(*headings: str) -> Table:
    """Makes a table with the candidate's name (folded when long) and right-aligned numbers."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("", width=_NAME, overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _two_lines(figure: Figure, form: str) -> str:
    """Formats a median, with its quartiles on the line below."""
    return f"{figure.median:{form}}\n{figure.low:{form}}-{figure.high:{form}}"
