"""Layer analyses as tables: in a terminal, and the depth-elasticity curve in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pld_search.records.layer_analysis import Elasticity, LayerAnalysis
from pld_search.report.number_text import duration, number

_LAYERS = ("layer", "gradient", "attention", "feed-fwd", "L2", "cosine", "~ next", "without", "swapped")
_KEPT = ("layers", "lowest", "highest", "best", "seq/s", "which stay")


def show(label: str, step: int | None, found: LayerAnalysis, out: Console) -> None:
    """Prints both tables of one analysis with an explanation."""
    at = "" if step is None else f" after {step:,} steps"
    out.print(Text(f"{label}{at}: loss {_text(found.loss)} over {found.sequences} held-out sequences", style="bold"))
    out.print(_table(_LAYERS, _layer_rows(found)))
    out.print(
        Text(
            "gradient: its norm; L2, cosine: of input and output; ~ next: cosine of what this layer and the next add; "
            "without, swapped: what the loss gains without the layer, and with the next in its place",
            style="dim",
        )
    )
    if found.elasticity is not None:
        out.print(_table(_KEPT, elasticity_rows(found.elasticity)))
        out.print(Text("the loss with fewer layers, kept from below, from above, and the best found", style="dim"))
    out.print(Text(f"measured in {duration(found.seconds)}\n", style="dim"))


def _layer_rows(found: LayerAnalysis) -> Iterator[tuple[str, ...]]:
    swapped = [None if found.loss is None or loss is None else loss - found.loss for loss in found.swapped or ()]
    for index in range(found.layers):
        norms = (found.gradients[part][index] for part in ("block", "attention", "feed_forward"))
        last = index == found.layers - 1
        yield (
            str(index + 1),
            *(_text(norm) for norm in norms),
            _text(found.distance[index], 3),
            _text(found.cosine[index], 3),
            "" if last else _text(found.updates[index], 3),
            _signed(found.increases[index]),
            "" if last or not swapped else _signed(swapped[index]),
        )


def elasticity_rows(curve: Elasticity) -> Iterator[tuple[str, ...]]:
    """Yields one row for each number of layers, all layers first; the last cell lists the best layers found."""
    for index in reversed(range(len(curve.best))):
        losses = (curve.lowest[index], curve.highest[index], curve.best[index])
        speed = curve.speed[index]
        kept = " ".join(map(str, curve.kept(index + 1)))
        yield str(index + 1), *map(_text, losses), "" if speed is None else f"{speed:,.0f}", kept


def elasticity_lines(curve: Elasticity) -> Iterator[str]:
    """Yields the curve as a Markdown table."""
    yield "| layers | k lowest | k highest | best found | sequences a second | which stay |"
    yield "|---|---|---|---|---|---|"
    for row in elasticity_rows(curve):
        yield f"| {' | '.join(row)} |"


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for name in head:
        table.add_column(name, justify="left" if name == head[-1] == "which stay" else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def _text(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else number(value, digits)


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.3f}"
