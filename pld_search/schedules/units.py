"""Numbers that carry their unit: `15 %`, `3000 steps`, `100 / run`, `0.001 / step`, `2 h`.

A quantity is stored as its canonical text, so that it prints, compares, hashes and round-trips through YAML and JSON
unchanged. `parse_share`, `rate_per_run`, `steps_of` and `seconds_of` return its number. All rounding is floor(x + 0.5)
on exact decimals.
"""

from __future__ import annotations

import re
from decimal import ROUND_FLOOR, Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

UNITS = ("%", "steps", "/ run", "/ step", "s", "min", "h")
_SPELLINGS = {"step": "steps", "/run": "/ run", "/step": "/ step", "/ steps": "/ step", "/steps": "/ step"}
_MEANT = {
    "percent": "%",
    "pct": "%",
    "per run": "/ run",
    "per step": "/ step",
    "hours": "h",
    "hour": "h",
    "hr": "h",
    "hrs": "h",
}
_MEANT |= {
    "minutes": "min",
    "minute": "min",
    "mins": "min",
    "m": "min",
    "seconds": "s",
    "second": "s",
    "sec": "s",
    "secs": "s",
}
_PATTERN = re.compile(r"\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*(.*?)\s*")
_SECONDS = {"s": 1, "min": 60, "h": 3600}
Number = int | float | Decimal


def exact(value: Number | str) -> Decimal:
    """Returns the decimal that a person wrote: 0.1 is 1/10, not the nearest binary fraction."""
    return (
        value if isinstance(value, Decimal) else Decimal(repr(float(value)) if isinstance(value, float) else str(value))
    )


def round_half_up(value: Number) -> int:
    """Returns floor(x + 0.5) on the exact decimal: the only rounding rule of the project."""
    return int((exact(value) + Decimal("0.5")).to_integral_value(rounding=ROUND_FLOOR))


def plain(value: Decimal) -> str:
    """Returns a decimal as text without trailing zeros or an exponent: `2.50` -> `2.5`, `1E+2` -> `100`."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def split(value: object) -> tuple[Decimal, str]:
    """Splits `NUMBER UNIT` into (number, canonical unit); a bare number has the unit "". Raises ValueError with the
    rule for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError(f"needs a number with a unit ({' | '.join(UNITS)})")
    match = _PATTERN.fullmatch(str(value))
    if match is None:
        raise ValueError(f"needs a number with a unit ({' | '.join(UNITS)})")
    unit = re.sub(r"\s+", " ", match[2])
    unit = _SPELLINGS.get(unit, unit)
    if unit and unit not in UNITS:
        meant = f"; did you mean {_MEANT[unit.lower()]}?" if unit.lower() in _MEANT else ""
        raise ValueError(f"unknown unit '{unit}'; units are {' | '.join(UNITS)}{meant}")
    try:
        number = Decimal(match[1])
    except InvalidOperation as error:  # pragma: no cover - the pattern admits only decimals
        raise ValueError("not a number") from error
    if abs(number.adjusted()) > 30:
        raise ValueError("a number outside 1e-30 .. 1e30")
    return (number if number else Decimal(0)), unit  # `-0 %` and `0 %` are the same quantity


def same_quantity(one: object, other: object) -> bool:
    """Whether two texts have the same number and the same unit in any spelling: `30%` and `30.0 %`."""
    try:
        return split(one) == split(other)
    except ValueError:
        return False


def _only(value: object, *units: str) -> tuple[Decimal, str]:
    number, unit = split(value)
    if unit not in units:
        needed = " or ".join(f"'NUMBER {u}'" if u else "a bare number" for u in units)
        raise ValueError(f"needs {needed}" + (f", not '{unit}'" if unit else ": the unit is required"))
    return number, unit


def parse_share(value: object) -> float:
    """Converts `15 %` or a bare share in [0, 1] to a float in [0, 1]."""
    number, unit = _only(value, "%", "")
    share = number / 100 if unit == "%" else number
    if not 0 <= share <= 1:
        raise ValueError("a share lies in [0, 1] or between 0 % and 100 %")
    return float(share)


def parse_ratio(value: object) -> float:
    """Converts `80 %`, `125 %` or a bare ratio to a float; the ratio is above 0 and at most 100."""
    number, unit = _only(value, "%", "")
    ratio = number / 100 if unit == "%" else number
    if not 0 < ratio <= 100:
        raise ValueError("a ratio is above 0 and at most 100: 80 %, 125 % or 1.25")
    return float(ratio)


def parse_rate(value: object) -> str:
    """Returns the canonical text of a rate > 0 with its unit: `100 / run` or `0.001 / step`."""
    number, unit = _only(value, "/ run", "/ step")
    if number <= 0:
        raise ValueError("a rate is greater than 0")
    return f"{plain(number)} {unit}"


def parse_extent(value: object) -> str:
    """Returns the canonical text of a part of a run: `2 %` (of all steps) or `3000 steps`; a bare share in [0, 1] is
    written as a percentage.
    """
    number, unit = _only(value, "%", "steps", "")
    if unit == "":
        number, unit = number * 100, "%"
    if unit == "%" and not 0 <= number <= 100:
        raise ValueError("a share lies in [0, 1] or between 0 % and 100 %")
    if unit == "steps" and (number < 0 or number != number.to_integral_value()):
        raise ValueError("steps are a whole number, 0 or more")
    return f"{plain(number)} {unit}"


def parse_steps(value: object) -> str:
    """Returns the canonical text of a whole number of steps: `200000 steps`."""
    number, _ = _only(value, "steps")
    if number < 1 or number != number.to_integral_value():
        raise ValueError("steps are a whole number, 1 or more")
    return f"{plain(number)} steps"


def seconds_of(value: object) -> float:
    """Converts `90 s`, `10 min` or `2 h` to seconds; a bare number is in seconds."""
    number, unit = _only(value, "s", "min", "h", "")
    if number < 0:
        raise ValueError("a time is not negative")
    return float(number * _SECONDS.get(unit or "s", 1))


def parse_duration(value: object) -> float:
    """Converts a time above 0 to seconds, from `90 s`, `10 min`, `2 h` or a bare number of seconds."""
    seconds = seconds_of(value)
    if seconds <= 0:
        raise ValueError("a time is greater than 0")
    return seconds


def steps_of(extent: str, total: int) -> int:
    """Returns the steps of an extent in a run of `total` steps; shares round by floor(x + 0.5)."""
    number, unit = _only(extent, "%", "steps")
    return round_half_up(number * total / 100) if unit == "%" else int(number)


def rate_per_run(rate: str, total: int) -> float:
    """Returns a rate in e-folds over a run of `total` steps: `100 / run` is 100, `0.001 / step` is 0.001 * total."""
    number, unit = _only(rate, "/ run", "/ step")
    return float(number if unit == "/ run" else number * total)


_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*"
_ABOVE_0 = {"type": "number", "exclusiveMinimum": 0}
_SHARE_SCHEMA = {"type": "number", "minimum": 0, "maximum": 1}


def _text(units: str) -> dict[str, str]:
    return {"type": "string", "pattern": f"{_NUMBER}({units})\\s*$"}


def _described(parser: Any, description: str, *forms: dict[str, Any]) -> Any:
    """Returns the parser of an annotated type, the JSON Schema of its input and its description."""
    schema = forms[0] if len(forms) == 1 else {"anyOf": list(forms)}
    return (BeforeValidator(parser), WithJsonSchema(schema), Field(description=description))


Share = Annotated[float, *_described(parse_share, "a share: `15 %` or a number in [0, 1]", _SHARE_SCHEMA, _text("%"))]
_RATIO_SCHEMA = {"type": "number", "exclusiveMinimum": 0, "maximum": 100}
Ratio = Annotated[
    float, *_described(parse_ratio, "a ratio: `80 %`, `125 %` or a number above 0", _RATIO_SCHEMA, _text("%"))
]
Rate = Annotated[
    str, *_described(parse_rate, "a rate with its unit: `100 / run` or `0.001 / step`", _text(r"/\s?run|/\s?steps?"))
]
Extent = Annotated[
    str, *_described(parse_extent, "a part of the run: `2 %` or `3000 steps`", _SHARE_SCHEMA, _text("%|steps?"))
]
Duration = Annotated[
    float, *_described(parse_duration, "a time: `2 h`, `90 min` or a number of seconds", _ABOVE_0, _text("s|min|h"))
]
Steps = Annotated[str, *_described(parse_steps, "a number of steps: `200000 steps`", _text("steps?"))]
