"""How numbers read: one place for digits, signs and units."""

from __future__ import annotations

NONE = "–"
"""What stands for no number."""


def number(value: float | None, digits: int = 3) -> str:
    """`1,234.568` with a true minus sign; a dash where there is none."""
    return NONE if value is None else f"{value:,.{digits}f}".replace("-", "−")


def signed(value: float, digits: int = 3) -> str:
    """With a true minus sign, and without a sign where it rounds to nothing."""
    text = f"{value:+.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", "−")


def percent(value: float | None, digits: int = 1) -> str:
    """`12.5 %` for the share 0.125; a dash where there is none."""
    return NONE if value is None else f"{100 * value:.{digits}f} %"


def count(value: int | None) -> str:
    """`12,345`; a dash where there is none."""
    return NONE if value is None else f"{value:,}"


def compact(value: float | None) -> str:
    """Three significant digits: a speed or a TFLOP count."""
    if value is None:
        return NONE
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def duration(seconds: float | None) -> str:
    """`43 s`, `7 min 05 s`, `3 h 20 min`."""
    if seconds is None:
        return NONE
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def times(value: float | None) -> str:
    """`1.24 x`: a ratio; a dash where there is none."""
    return NONE if value is None else f"{value:.2f} x"
