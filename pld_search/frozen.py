"""The base of every spec: a frozen pydantic value, unknown keys refused, canonical JSON and a digest by content."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class Spec(BaseModel):
    """A frozen value. Two specs with equal fields are equal, hash alike and have the same canonical JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class SparseSpec(Spec):
    """A spec whose keys without a value are left out of every dump, so that an optional key changes no digest of those
    without it.
    """

    @model_serializer(mode="wrap")
    def _without_empty_keys(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in dump(self).items() if value is not None}


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, no NaN; the text every digest is taken over."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", by_alias=True)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(value: Any) -> str:
    """`sha256:` and 64 hexadecimal digits over the canonical JSON."""
    return "sha256:" + hashlib.sha256(canonical_json(value).encode()).hexdigest()
