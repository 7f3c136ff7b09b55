"""Writes a drawing as an `<svg>` element inside the page, with the page's colours and font."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pld_search.report.drawing.svg_shapes import (
    BAD,
    GROUND,
    INK,
    RULE,
    SOFT,
    Area,
    Drawing,
    Group,
    Line,
    Mark,
    Shape,
    Text,
)
from pld_search.report.html_markup import Markup, join, tag

_COLOURS = {INK: "currentColor", SOFT: "var(--soft)", RULE: "var(--rule)", GROUND: "var(--card)", BAD: "var(--bad)"}


def svg(drawing: Drawing) -> Markup:
    """Returns the element; ids in it begin with the drawing's name."""
    writer = _SvgWriter(drawing.name)
    content = writer.all(drawing.shapes)
    return tag(
        "svg",
        *content,
        viewBox=f"0 0 {_number(drawing.width)} {_number(drawing.height)}",
        role="img",
        aria_label=drawing.alt,
        style=f"max-width:{_number(1.65 * drawing.width)}px",
    )


class _SvgWriter:
    """Writes shapes in order; every clip has its own id."""

    def __init__(self, name: str) -> None:
        self._name, self._clips = name, 0

    def all(self, shapes: Iterable[Shape | Group]) -> list[Markup]:
        """Returns every shape in order."""
        return [self._group(each) if isinstance(each, Group) else _shape(each) for each in shapes]

    def _group(self, group: Group) -> Markup:
        content: list[Markup] = [tag("title", group.tip)] if group.tip else []
        clip = None
        if group.clip is not None:
            self._clips += 1
            name, box = f"{self._name}-clip{self._clips}", group.clip
            size = {"width": _number(box.right - box.left), "height": _number(box.bottom - box.top)}
            rectangle = tag("rect", x=_number(box.left), y=_number(box.top), **size)
            content.append(tag("clipPath", rectangle, id=name))
            clip = f"url(#{name})"
        kind = "mark" if group.tip else None
        return tag("g", *content, *self.all(group.shapes), class_=kind, data_row=group.key, clip_path=clip)


def _shape(shape: Shape) -> Markup:
    if isinstance(shape, Line):
        return tag(
            "polyline",
            points=_points(shape.points),
            fill="none",
            stroke=_colour(shape.colour),
            stroke_width=_number(shape.width),
            stroke_dasharray=shape.dash,
            opacity=_opacity(shape.opacity),
        )
    if isinstance(shape, Area):
        colours = {"fill": _colour(shape.colour), "opacity": _opacity(shape.opacity)}
        return tag("polygon", points=_points(shape.points), **colours)
    return _mark(shape) if isinstance(shape, Mark) else _text(shape)


def _mark(mark: Mark) -> Markup:
    opacity, half = _opacity(mark.opacity), mark.size / 2
    if mark.shape in ("circle", "ring"):
        place = {"cx": _number(mark.x), "cy": _number(mark.y)}
        if mark.shape == "ring":
            drawn = {"fill": "none", "stroke": _colour(mark.colour), "stroke_width": "1.5"}
            return tag("circle", **place, r=_number(half - 0.75), **drawn, opacity=opacity)
        return tag("circle", **place, r=_number(half), fill=_colour(mark.colour), opacity=opacity)
    return tag("polygon", points=_points(corners(mark)), fill=_colour(mark.colour), opacity=opacity)


def corners(mark: Mark) -> list[tuple[float, float]]:
    """Returns the corners of a mark that is no circle."""
    half, x, y = mark.size / 2, mark.x, mark.y
    if mark.shape == "square":
        half *= 0.88
        return [(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)]
    if mark.shape == "diamond":
        return [(x, y - half), (x + half, y), (x, y + half), (x - half, y)]
    return [(x, y - half), (x + half, y + half), (x - half, y + half)]


def _text(text: Text) -> Markup:
    return tag(
        "text",
        text.text,
        x=_number(text.x),
        y=_number(text.y),
        font_size=_number(text.size),
        text_anchor=None if text.anchor == "start" else text.anchor,
        fill=_colour(text.colour),
        font_weight="600" if text.bold else None,
    )


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{_number(x)},{_number(y)}" for x, y in points)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _opacity(value: float) -> str | None:
    return None if value == 1.0 else _number(value)


def _colour(colour: str) -> str:
    return _COLOURS.get(colour, colour)


def figure(drawing: Drawing, caption: Markup | str | None = None) -> Markup:
    """Returns the drawing as a figure of the page, with its caption."""
    return tag("figure", svg(drawing), tag("figcaption", caption) if caption else None)


def panels(*figures: Markup | None) -> Markup:
    """Places figures side by side on a wide screen and below each other on a narrow one."""
    return tag("div", join(*figures), class_="panels")
