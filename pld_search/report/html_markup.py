"""HTML that is escaped by construction: text becomes markup only through `tag`, and any text that is not Markup is
escaped.
"""

from __future__ import annotations

from html import escape


class Markup(str):
    """Text that is already HTML."""

    __slots__ = ()


def tag(name: str, *children: str | None, **attributes: str | None) -> Markup:
    """Returns `<name attributes>children</name>`; plain children are escaped, None is skipped, `class_` becomes
    `class`.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: str | None) -> Markup:
    """Joins the children; plain ones are escaped."""
    return Markup(
        "".join(child if isinstance(child, Markup) else escape(child) for child in children if child is not None)
    )
