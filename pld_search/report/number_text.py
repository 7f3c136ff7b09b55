"""Formats numbers: digits, signs and units."""

from __future__ import annotations

NONE = "–"
"""The text for a missing number."""


def number(value: float | None, digits: int = 3) -> str:
    """Formats `1,234.568` with a true minus sign; a dash for None."""
    return NONE if value is None else f"{value:,.{digits}f}".replace("-", "−")


def signed(value: float, digits: int = 3) -> str:
    """Formats with a sign (a true minus), and without a sign when the value rounds to zero."""
    text = f"{value:+.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", "−")


def percent(value: float | None, digits: int = 1) -> str:
    """Formats the share 0.125 as `12.5 %`; a dash for None."""
    return NONE if value is None else f"{100 * value:.{digits}f} %"


def count(value: int | None) -> str:
    """Formats `12,345`; a dash for None."""
    return NONE if value is None else f"{value:,}"


def compact(value: float | None) -> str:
    """Formats about three significant digits, for a speed or a TFLOP count."""
    if value is None:
        return NONE
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def duration(seconds: float | None) -> str:
    """Formats `43 s`, `7 min 05 s`, `3 h 20 min`."""
    if seconds is None:
        return NONE
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def times(value: float | None) -> str:
    """Formats a ratio: `1.24 x`; a dash for None."""
    return NONE if value is None else f"{value:.2f} x"
