"""Text as LaTeX reads it."""

from __future__ import annotations

import doctest

from pld_search.report import latex_text
from pld_search.report.latex_text import escaped, quoted


def test_examples_in_the_docstrings() -> None:
    assert doctest.testmod(latex_text).failed == 0


def test_special_characters_are_literal() -> None:
    assert escaped(r"50 % of \x ~ {a}") == r"50 \% of \textbackslash{}x \textasciitilde{} \{a\}"
    assert escaped("6 × 64, −0.1 ± 0.2, 3→6") == r"6 $\times$ 64, $-$0.1 $\pm$ 0.2, 3$\to$6"
    assert quoted('"a" & "b"') == r"``a'' \& ``b''"
