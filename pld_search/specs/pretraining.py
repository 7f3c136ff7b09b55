"""What a run learns, as a value: the key `pretraining` of an experiment. None is masked language modelling (`mlm`).

Here is only what is written and its names. FLOPs, parameters and memory of an objective are in costs/objectives/, its
batches and losses in pretraining/.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from pld_search.frozen import SparseSpec
from pld_search.specs.synonyms import meant

MLM, MLM_NSP = "mlm", "mlm+nsp"
_kinds: dict[str, None] = dict.fromkeys((MLM, MLM_NSP))


class Pretraining(SparseSpec):
    """An objective by its name; one with settings of its own is a subclass."""

    kind: Annotated[str, Field(description="the objective")]


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


_FORMS = {
    "anyOf": [
        {"enum": list(_kinds)},
        {"type": "object", "properties": {"kind": {"enum": list(_kinds)}}, "required": ["kind"]},
        {"type": "null"},
    ]
}
WrittenPretraining = Annotated[
    Pretraining | None,
    BeforeValidator(_read),
    WithJsonSchema(_FORMS),
    Field(description="what a run learns: a word, or a mapping with `kind`; default: mlm"),
]
"""The key `pretraining` of an experiment, as it is written and as it is held."""
