"""Writes drawings as PDF files for papers: vector graphics on white, with text as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pld_search.report.drawing.svg_shapes import (
    BAD,
    GROUND,
    INK,
    RULE,
    SOFT,
    Area,
    Box,
    Drawing,
    Group,
    Line,
    Mark,
    Shape,
)
from pld_search.report.drawing.svg_writer import corners
from pld_search.report.print_style import escaped, printed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = {INK: "#1c2127", SOFT: "#5b6470", RULE: "#dfe3e7", GROUND: "#ffffff", BAD: "#b3261e"}
_UNDATED = {"CreationDate": None}


def write_pdfs(drawings: Sequence[Drawing], folder: Path, whole: Path) -> None:
    """Writes each drawing as `folder/NAME.pdf`, and all of them as pages of `whole`. Raises OSError."""
    from matplotlib.backends.backend_pdf import PdfPages

    folder.mkdir(exist_ok=True)
    with printed(), PdfPages(whole, metadata=_UNDATED) as pages:
        for drawing in drawings:
            figure = pdf_figure(drawing)
            figure.savefig(folder / f"{drawing.name}.pdf", metadata=_UNDATED)
            pages.savefig(figure)


def pdf_figure(drawing: Drawing) -> Figure:
    """Returns the drawing as a matplotlib figure of its size. Make and save it inside `printed()`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(drawing.width / 72, drawing.height / 72))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, drawing.width), ylim=(drawing.height, 0))
    axes.axis("off")
    _draw(axes, drawing.shapes, None)
    return figure


def _draw(axes: Axes, shapes: Sequence[Shape | Group], clip: Box | None) -> None:
    for shape in shapes:
        if isinstance(shape, Group):
            _draw(axes, shape.shapes, shape.clip or clip)
        else:
            _shape(axes, shape, clip)


def _shape(axes: Axes, shape: Shape, clip: Box | None) -> None:
    from matplotlib.patches import Polygon

    colour = _COLOURS.get(shape.colour, shape.colour)
    if isinstance(shape, Line):
        style: Any = "-" if shape.dash is None else (0, [float(each) / shape.width for each in shape.dash.split()])
        kept = {"color": colour, "linewidth": shape.width, "alpha": shape.opacity, "linestyle": style}
        drawn: Any = axes.plot(*zip(*shape.points, strict=True), **kept)[0]
    elif isinstance(shape, Area):
        drawn = axes.add_patch(Polygon(list(shape.points), facecolor=colour, alpha=shape.opacity, linewidth=0))
    elif isinstance(shape, Mark):
        drawn = _mark(axes, shape, colour)
    else:
        across = {"start": "left", "middle": "center", "end": "right"}[shape.anchor]
        weight = "bold" if shape.bold else "normal"
        said: dict[str, Any] = {"fontsize": shape.size, "color": colour, "fontweight": weight}
        drawn = axes.text(shape.x, shape.y, escaped(shape.text), ha=across, va="baseline", **said)
    drawn.set_zorder(len(axes.get_children()))  # later shapes cover earlier ones, as in the drawing
    if clip is not None:
        drawn.set_clip_path(_rectangle(clip), transform=axes.transData)


def _rectangle(box: Box) -> Any:
    from matplotlib.path import Path as Outline

    left, top, right, bottom = box.left, box.top, box.right, box.bottom
    return Outline([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)])


def _mark(axes: Axes, mark: Mark, colour: str) -> Any:
    from matplotlib.patches import Circle, Polygon

    if mark.shape == "ring":
        ring = Circle((mark.x, mark.y), mark.size / 2 - 0.75, facecolor="none", edgecolor=colour, linewidth=1.5)
        return axes.add_patch(ring)
    if mark.shape == "circle":
        return axes.add_patch(
            Circle((mark.x, mark.y), mark.size / 2, facecolor=colour, linewidth=0, alpha=mark.opacity)
        )
    return axes.add_patch(Polygon(corners(mark), facecolor=colour, linewidth=0, alpha=mark.opacity))
