"""The key `pretraining` of an experiment: the objective of a run, as a value. None is masked language modelling
(`mlm`).

This module holds only the written form and the names. FLOPs, parameters and memory of an objective are in
costs/objectives/, its batches and losses in pretraining/.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import floor
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Discriminator, Field, Tag, TypeAdapter, WithJsonSchema, field_validator

from pld_search.errors import Reason, Refused, below
from pld_search.frozen import SparseSpec
from pld_search.schedules.schedule import Schedule
from pld_search.specs.synonyms import meant

MLM, MLM_NSP, ELECTRA = "mlm", "mlm+nsp", "electra"
_kinds: dict[str, None] = dict.fromkeys((MLM, MLM_NSP, ELECTRA))


class Pretraining(SparseSpec):
    """An objective by its name; an objective with settings of its own is a subclass."""

    kind: Annotated[str, Field(description="the objective")]

    def misfits(self, hidden: int, heads: int) -> list[Reason]:  # noqa: ARG002 - for objectives with a second network
        """Returns the reasons why the objective does not fit a model of this width and these heads, each with its path
        below `pretraining`.
        """
        return []

    def run_misfits(self, layers: int, steps: int | None, group_sizes: tuple[int, ...]) -> list[Reason]:  # noqa: ARG002
        """Returns the reasons why this does not fit a run of `steps` steps (None: any number) with a model of `layers`
        layers and groups of these sizes. Paths start at `pretraining`.
        """
        return []


def _share(written: Any) -> Any:
    """Converts `1/4` to a number; returns any other value unchanged."""
    if not isinstance(written, str):
        return written
    try:
        return float(Fraction(written))
    except (ValueError, ZeroDivisionError):
        return written


PartOfOne = Annotated[float, BeforeValidator(_share), Field(gt=0, le=1)]


def _part(share: float, size: int) -> int:
    exact = Fraction(share).limit_denominator(1000) * size
    return max(1, floor(exact + Fraction(1, 2)))


class Sizes(NamedTuple):
    """The shape of a second network."""

    layers: int
    hidden: int
    heads: int
    intermediate: int


def _whole(written: Any) -> Any:
    """Returns None for `full`, the default. The reader of a study replaces other names by complete mappings first."""
    if isinstance(written, str) and written != "full":
        raise ValueError("a schedule is written out where a study is read: here it is a mapping of all its keys")
    return None if written == "full" else written


class Generator(SparseSpec):
    """ELECTRA's generator: its sizes as shares of the discriminator's sizes, and the schedule that drops its layers."""

    width: Annotated[PartOfOne, Field(description="share of hidden, heads and intermediate: 1/4, or 0.25")] = 0.25
    depth: Annotated[PartOfOne, Field(description="share of the layers; at least one layer")] = 1.0
    schedule: Annotated[
        Schedule | None, BeforeValidator(_whole), Field(description="the schedule of its layers; full: all layers run")
    ] = None

    @field_validator("schedule")
    @classmethod
    def _trains_at_one_scale(cls, schedule: Schedule | None) -> Schedule | None:
        if schedule is not None and schedule.rescale == "evaluation":
            why = "the generator is validated whole and unscaled: any rescale of the training is allowed here"
            raise Refused([Reason(("rescale",), why)])
        return schedule

    def sizes(self, layers: int, hidden: int, heads: int, intermediate: int) -> Sizes:
        """Returns the generator's sizes for a discriminator of these sizes: shares round by floor(x + 0.5), each at
        least 1.
        """
        across = (_part(self.width, size) for size in (hidden, heads, intermediate))
        return Sizes(_part(self.depth, layers), *across)


class Electra(Pretraining):
    """Replaced-token detection (Clark et al., ICLR 2020). The loss is the generator's plus weight x the
    discriminator's.
    """

    kind: Literal["electra"]
    generator: Generator = Generator()
    weight: Annotated[float, Field(gt=0, description="weight of the discriminator's loss")] = 50.0

    def misfits(self, hidden: int, heads: int) -> list[Reason]:
        """Returns the reason against a generator whose heads do not divide its width."""
        found = self.generator.sizes(1, hidden, heads, hidden)
        if found.hidden % found.heads == 0:
            return []
        sizes = f"{found.hidden} wide with {found.heads} heads, for {hidden} and {heads} of the model"
        return [Reason(("generator", "width"), f"the generator would be {sizes}: heads must divide the width")]

    def run_misfits(self, layers: int, steps: int | None, group_sizes: tuple[int, ...]) -> list[Reason]:
        """Returns the reasons why the generator's schedule does not fit its layers, these steps and these groups."""
        if self.generator.schedule is None:
            return []
        own = self.generator.sizes(layers, 1, 1, 1).layers
        return below(("generator", "schedule"), self.generator.schedule.misfits(steps, own, group_sizes))


def kinds() -> tuple[str, ...]:
    """Returns the names of all objectives, in the order in which they were admitted."""
    return tuple(_kinds)


def admit(kind: str) -> None:
    """Makes `kind` a word that an experiment may use. Only `pld_search.pretraining.registry.register` calls it."""
    _kinds[kind] = None


def _read(written: Any) -> Any:
    """Converts the written form to fields: a word is a kind without settings, and the default `mlm` is None."""
    if written is None or isinstance(written, Pretraining):
        return written
    kind = written.get("kind") if isinstance(written, dict) else written
    if not isinstance(kind, str) or kind not in _kinds:
        near = meant(kind, _kinds) if isinstance(kind, str) else None
        hint = f"; did you mean {near}?" if near else ""
        raise ValueError(f"what a run learns is one of {' | '.join(_kinds)}, or a mapping with `kind`{hint}")
    fields = written if isinstance(written, dict) else {"kind": kind}
    return None if fields == {"kind": MLM} else fields


# The tags of unions are not words of a file: pydantic puts them into the location of an error, beside the keys.
def _form(value: Any) -> str:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return "an electra" if kind == ELECTRA else "a word"


_GENERATOR = {"type": "object", "properties": {"width": {}, "depth": {}, "schedule": {}}, "additionalProperties": False}
_SETTINGS = {"kind": {"enum": list(_kinds)}, "generator": _GENERATOR, "weight": {"type": "number"}}
_FORMS = {
    "anyOf": [
        {"enum": list(_kinds)},
        {"type": "object", "properties": _SETTINGS, "required": ["kind"], "additionalProperties": False},
        {"type": "null"},
    ]
}
WrittenPretraining = Annotated[
    Annotated[Annotated[Electra, Tag("an electra")] | Annotated[Pretraining, Tag("a word")], Discriminator(_form)]
    | None,
    BeforeValidator(_read),
    WithJsonSchema(_FORMS),
    Field(description="what a run learns: a word, or a mapping with `kind`; default: mlm"),
]
"""The key `pretraining` of an experiment, in its written and its stored form."""


@cache
def _adapter() -> TypeAdapter[Pretraining | None]:
    """Built when it is first needed: it takes longer than the import of this module."""
    return TypeAdapter(WrittenPretraining)


def pretraining_of(written: Any) -> Pretraining | None:
    """Returns the value of a recorded `pretraining`. Raises pydantic's ValidationError for a malformed one."""
    return _adapter().validate_python(written)
