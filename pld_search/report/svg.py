"""A matplotlib figure as an SVG that lives inside a page: no prolog, no metadata, ids of its own, colours and fonts
from the page's style.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_pdfs: ContextVar[dict[str, bytes] | None] = ContextVar("pdfs", default=None)
# stand-ins, replaced by the page's own colours so that a figure follows light and dark
INK, LINE = "#010203", "#040506"
_STYLE = {
    "font.size": 9.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "pld-search",
}


def styled() -> Any:
    """The context every figure is made and saved in; leaves matplotlib's settings as they were."""
    import matplotlib

    if _pdfs.get() is not None:
        return printed()
    return matplotlib.rc_context(_STYLE)


def printed() -> Any:
    """The context of pictures that stand alone, on white: colours of their own, and letters as shapes, so that no font
    is needed.
    """
    import matplotlib

    colours = {"text.color": "#1c2127", "axes.edgecolor": "#9aa2ab", "grid.color": "#dfe3e7"}
    also = dict.fromkeys(("axes.labelcolor", "xtick.color", "ytick.color"), colours["text.color"])
    return matplotlib.rc_context({**_STYLE, **colours, **also, "svg.fonttype": "path"})


@contextmanager
def pdfs() -> Iterator[dict[str, bytes]]:
    """Every figure that is drawn inside, as a PDF on white by the name of its SVG."""
    found: dict[str, bytes] = {}
    token = _pdfs.set(found)
    try:
        yield found
    finally:
        _pdfs.reset(token)


def to_svg(figure: Figure, prefix: str) -> str:
    """The figure as an `<svg>` element; `prefix` keeps its ids apart from those of other figures in the page."""
    if (kept := _pdfs.get()) is not None:
        kept[prefix] = _pdf(figure)
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*pt"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*pt"', r"\1", text, count=1)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}-", text)
    text = re.sub(r"(font:[^;\"]*?[\d.]+px) [^;\"]*", r"\1 var(--font)", text)
    return text.replace(INK, "currentColor").replace(LINE, "var(--rule)").strip()


def _pdf(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="pdf", facecolor="white", metadata={"CreationDate": None, "Creator": None})
    return buffer.getvalue()


def to_png(figure: Figure, dots_per_inch: int = 144) -> bytes:
    """The figure as a PNG on white, for places that show no SVG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dots_per_inch, facecolor="white")
    return buffer.getvalue()
