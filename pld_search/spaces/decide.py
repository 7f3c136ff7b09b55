"""The decision rule of a study: its primary metric, the margin within which rows count as equal, the accepted error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from pld_search.frozen import Spec
from pld_search.schedules.units import exact, plain
from pld_search.spaces import metric_names
from pld_search.specs import limits
from pld_search.specs.metrics import metric
from pld_search.specs.validate import Refusal

LOSSES = ("valid/loss", "test/loss")
UNDECIDABLE = (
    "no row can be judged: every system has one seed, so nothing says how far seeds alone spread; "
    "`seeds: 3` gives every row the same three, and `confirm` gives fresh ones to the winner"
)
OF_FLOPS = "% of FLOPs"
_UNITS = ("nats", "%", OF_FLOPS)
_FORMS = "a margin is NUMBER nats or NUMBER % of FLOPs for a loss and NUMBER % for a score, above 0"


def parse_margin(value: object) -> str:
    """Returns the canonical form of a margin: `0.01 nats` or `5 % of FLOPs` for a loss, `0.5 %` for a score in 0 .. 1.

    `{flops: 5 %}` is `5 % of FLOPs`: the loss that the reference would give up with this much less budget. Raises
    Refusal for any other form.
    """
    if isinstance(value, Mapping):
        if set(value) != {"flops"}:
            raise Refusal(_FORMS, "0.01 nats")
        value = f"{value['flops']} of FLOPs"
    number, _, unit = str(value).strip().partition(" ")
    if number.endswith("%"):
        number, unit = number[:-1], f"% {unit}".strip()
    try:
        amount = exact(number)
    except ArithmeticError as error:
        raise Refusal(_FORMS, "0.01 nats") from error
    if unit.strip() not in _UNITS or not amount.is_finite() or amount <= 0:
        raise Refusal(_FORMS, f"{number} nats" if not unit and amount.is_finite() and amount > 0 else "0.01 nats")
    if unit.strip() == OF_FLOPS and amount >= 100:
        raise Refusal("a margin of FLOPs is below 100 %", "5 % of FLOPs")
    return f"{plain(amount)} {unit.strip()}"


def margin_value(margin: str) -> float:
    """Returns a canonical margin as a number in its unit: nats, or a share (of a score, or of the FLOPs)."""
    number, _, unit = margin.partition(" ")
    return float(exact(number) / (1 if unit == "nats" else 100))


def parse_spread(value: object) -> float | str:
    """Returns a deviation above 0 in the unit of the primary metric, or the name of a study that measured it. Raises
    ValueError otherwise.
    """
    if isinstance(value, str) and value.strip():
        return value.strip()
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0:
        return float(value)
    raise ValueError("a spread is a number above 0, or the name of an earlier study")


def parse_primary(name: str) -> str:
    """Returns the name of a loss or a downstream score unchanged. Raises Refusal for any other metric."""
    if name in LOSSES or metric_names.suite_of(name) is not None:
        return name
    raise Refusal("a study decides by a loss or a downstream score", "valid/loss")


Margin = Annotated[
    str,
    BeforeValidator(parse_margin),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^\s*(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*(nats|%|% of FLOPs)\s*$"},
                {
                    "type": "object",
                    "properties": {"flops": {"type": "string", "pattern": "%", "description": "of the budget"}},
                    "required": ["flops"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
DeviationOrStudy = Annotated[
    float | str,
    BeforeValidator(parse_spread),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "minLength": 1}]}),
]


class Decide(Spec):
    """How the report judges the systems against the reference. It is not part of any digest."""

    primary: Annotated[
        str | None,
        AfterValidator(lambda name: None if name is None else parse_primary(name)),
        Field(description="the metric that is judged; default: valid/loss, and test/loss where the study confirms"),
    ] = None
    margin: Annotated[
        Margin | None,
        Field(
            description=(
                "the largest difference that counts as equal: `0.01 nats` or `5 % of FLOPs`; of a score `0.5 %`"
            )
        ),
    ] = None
    alpha: Annotated[float, Field(gt=0, le=0.5, description="the error probability of all verdicts together")] = 0.05
    power: Annotated[
        float, Field(ge=0.5, lt=1, description="the probability of a verdict for which `more seeds` is computed")
    ] = 0.8
    spread: Annotated[
        DeviationOrStudy | None,
        Field(description="the deviation of a run without its seed's effect, or the study that measured it"),
    ] = None
    max_seeds: Annotated[
        int, Field(ge=2, le=limits.SEEDS, description="maximum number of seeds of a row in `more seeds would decide`")
    ] = 10

    @model_validator(mode="after")
    def _unit_of_the_metric(self) -> Self:
        if self.margin is None:
            return self
        units = ("nats", OF_FLOPS) if self.primary is None or self.primary in LOSSES else ("%",)
        if not self.margin.endswith(units):
            allowed = " or ".join(units)
            raise ValueError(f"the margin of {self.primary or 'a loss'} is stated in {allowed}, not as {self.margin}")
        return self

    @property
    def margin_value(self) -> float | None:
        """The margin in the metric's own unit; None if no margin is stated, or if it is stated as a share of FLOPs."""
        return None if self.margin is None or self.margin_share is not None else margin_value(self.margin)

    @property
    def margin_share(self) -> float | None:
        """The share of the FLOPs that the margin states; None for any other margin."""
        return margin_value(self.margin) if self.margin is not None and self.margin.endswith(OF_FLOPS) else None

    @property
    def less_is_better(self) -> bool:
        """Whether the primary metric is minimized."""
        return self.primary is None or metric(self.primary).direction == "minimize"


def decision(definition: Mapping[str, Any]) -> Decide:
    """Reads the decision rule from a study's recorded definition, with its defaults: `primary` is always named."""
    written = Decide.model_validate(definition.get("decide") or {})
    default = "test/loss" if definition.get("confirm") else "valid/loss"
    return written.model_copy(update={"primary": written.primary or default})
