"""The base of every spec: a frozen pydantic value that refuses unknown keys, its canonical JSON and its digest."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class Spec(BaseModel):
    """A frozen value. Two specs with equal fields are equal, hash alike and have the same canonical JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), defer_build=True)


class SparseSpec(Spec):
    """A spec that leaves keys without a value out of every dump, so that an optional key does not change the digests of
    specs without it.
    """

    @model_serializer(mode="wrap")
    def _without_empty_keys(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in dump(self).items() if value is not None}


def canonical_json(value: Any) -> str:
    """Returns the canonical text of a value: sorted keys, no spaces, no NaN. Every digest is computed from this
    text.
    """
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", by_alias=True)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(value: Any) -> str:
    """Returns `sha256:` and 64 hexadecimal digits over the canonical JSON."""
    return "sha256:" + hashlib.sha256(canonical_json(value).encode()).hexdigest()
