"""What a run learns, as a value: the key `pretraining` of an experiment. None is masked language modelling (`mlm`).

Here is only what is written and its names. FLOPs, parameters and memory of an objective are in costs/objectives/, its
batches and losses in pretraining/.
"""

from __future__ import annotations

from fractions import Fraction
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
    """An objective by its name; one with settings of its own is a subclass."""

    kind: Annotated[str, Field(description="the objective")]

    def misfits(self, hidden: int, heads: int) -> list[Reason]:  # noqa: ARG002 - of a second network, where there is one
        """Why this is not for a model of this width and these heads, each with its path below `pretraining`."""
        return []

    def run_misfits(self, layers: int, steps: int | None, group_sizes: tuple[int, ...]) -> list[Reason]:  # noqa: ARG002
        """Why this is not for a run of `steps` steps (None: of any number) with a model of so many layers and groups of
        these sizes.
        """
        return []


def _share(written: Any) -> Any:
    """`1/4` as a number; anything else as it is."""
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
    """`full`, the default, as None. A schedule by its name has been written out before a spec reads it."""
    if isinstance(written, str) and written != "full":
        raise ValueError("a schedule is written out where a study is read: here it is a mapping of all its keys")
    return None if written == "full" else written


class Generator(SparseSpec):
    """ELECTRA's generator: its sizes as shares of the discriminator's, and the schedule by which it drops layers."""

    width: Annotated[PartOfOne, Field(description="of hidden, heads and intermediate: 1/4, or 0.25")] = 0.25
    depth: Annotated[PartOfOne, Field(description="of the layers; at least one")] = 1.0
    schedule: Annotated[
        Schedule | None, BeforeValidator(_whole), Field(description="which of its layers run; full: all of them")
    ] = None

    @field_validator("schedule")
    @classmethod
    def _trains_at_one_scale(cls, schedule: Schedule | None) -> Schedule | None:
        if schedule is not None and schedule.rescale == "evaluation":
            why = "the generator is validated whole and unscaled: any rescale of the training is allowed here"
            raise Refused([Reason(("rescale",), why)])
        return schedule

    def sizes(self, layers: int, hidden: int, heads: int, intermediate: int) -> Sizes:
        """The generator of a discriminator of these sizes: shares by floor(x + 0.5), at least 1 each."""
        across = (_part(self.width, size) for size in (hidden, heads, intermediate))
        return Sizes(_part(self.depth, layers), *across)


class Electra(Pretraining):
    """Replaced-token detection (Clark et al., ICLR 2020): the generator's loss + weight x the discriminator's."""

    kind: Literal["electra"]
    generator: Generator = Generator()
    weight: Annotated[float, Field(gt=0, description="of the discriminator's loss")] = 50.0

    def misfits(self, hidden: int, heads: int) -> list[Reason]:
        """The generator's heads must divide its width."""
        found = self.generator.sizes(1, hidden, heads, hidden)
        if found.hidden % found.heads == 0:
            return []
        sizes = f"{found.hidden} wide with {found.heads} heads, for {hidden} and {heads} of the model"
        return [Reason(("generator", "width"), f"the generator would be {sizes}: heads must divide the width")]

    def run_misfits(self, layers: int, steps: int | None, group_sizes: tuple[int, ...]) -> list[Reason]:
        """The generator's schedule must be for its layers, these steps and these groups."""
        if self.generator.schedule is None:
            return []
        own = self.generator.sizes(layers, 1, 1, 1).layers
        return below(("generator", "schedule"), self.generator.schedule.misfits(steps, own, group_sizes))


def kinds() -> tuple[str, ...]:
    """The names of all objectives, in the order in which they were admitted."""
    return tuple(_kinds)


def admit(kind: str) -> None:
    """Make `kind` a word that an experiment may use; called by `pld_search.pretraining.registry.register` alone."""
    _kinds[kind] = None


def _read(written: Any) -> Any:
    """The written form as fields: a word is a kind without settings, and the default `mlm` is None."""
    if written is None or isinstance(written, Pretraining):
        return written
    kind = written.get("kind") if isinstance(written, dict) else written
    if not isinstance(kind, str) or kind not in _kinds:
        near = meant(kind, _kinds) if isinstance(kind, str) else None
        hint = f"; did you mean {near}?" if near else ""
        raise ValueError(f"what a run learns is one of {' | '.join(_kinds)}, or a mapping with `kind`{hint}")
    fields = written if isinstance(written, dict) else {"kind": kind}
    return None if fields == {"kind": MLM} else fields


# The tags of unions are no words of a file: pydantic puts them into the location of an error, where keys stand as well.
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
"""The key `pretraining` of an experiment, as it is written and as it is held."""
_ADAPTER: TypeAdapter[Pretraining | None] = TypeAdapter(WrittenPretraining)


def pretraining_of(written: Any) -> Pretraining | None:
    """The value of a recorded `pretraining`. Raises pydantic's ValidationError for one that is none."""
    return _ADAPTER.validate_python(written)
