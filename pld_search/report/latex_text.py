"""Text as LaTeX: special characters, quotes, citations."""

from __future__ import annotations

import re

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "–": "--",
    "±": r"$\pm$",
    "→": r"$\to$",
    "×": r"$\times$",
    **{sign: rf"\{sign}" for sign in "&%$#_{}"},
}


def escaped(text: str) -> str:
    """Escapes LaTeX's special characters.

    >>> escaped("5 % of a_b")
    '5 \\\\% of a\\\\_b'
    """
    return "".join(_SPECIAL.get(sign, sign) for sign in text)


def quoted(text: str) -> str:
    """Escapes a text and opens and closes its double quotes.

    >>> quoted('the row "TD only"')
    "the row ``TD only''"
    """
    return re.sub(r'"([^"]*)"', r"``\1''", escaped(text))


def cite(key: str) -> str:
    r"""Returns a citation that keeps to the word before it.

    >>> cite("pld")
    '~\\cite{pld}'
    """
    return rf"~\cite{{{key}}}"
