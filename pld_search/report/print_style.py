"""The style of matplotlib's stand-alone pictures: on white, with letters as shapes, so that no font is needed.

The pictures of the page are drawn by report/drawing/ instead.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#1c2127"
_STYLE = {
    "font.size": 9.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9aa2ab",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "grid.color": "#dfe3e7",
    "grid.linewidth": 0.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "pld-search",
    "pdf.fonttype": 42,
}


def printed() -> Any:
    """Returns the context in which every figure is made and saved; it restores matplotlib's settings."""
    import matplotlib

    return matplotlib.rc_context(_STYLE)


def to_png(figure: Figure, dots_per_inch: int = 144) -> bytes:
    """Returns the figure as a PNG on white, for viewers that show no SVG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dots_per_inch, facecolor="white")
    return buffer.getvalue()


def escaped(text: str) -> str:
    """Escapes a user's text for matplotlib: `$` would start a formula."""
    return text.replace("$", r"\$")
