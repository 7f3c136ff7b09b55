"""Reads text, GLUE and tokenizers from the Hugging Face hub. Only this module imports `datasets`, and only when needed.

All data are pinned to a commit before they are read, so that a name leads to the same content later. Offline, only the
content of the hub's own cache is available; a revision that is already a commit is used unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pld_search.errors import DataError

_COMMIT = re.compile(r"[0-9a-f]{40}")
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt")


def commit(name: str, revision: str | None, kind: Literal["dataset", "model"] = "dataset") -> str:
    """Returns the commit of a revision (None: the main branch) of a hub repository. Raises DataError."""
    if revision is not None and _COMMIT.fullmatch(revision):
        return revision
    from huggingface_hub import HfApi

    try:
        return str(HfApi().repo_info(name, revision=revision, repo_type=kind).sha)
    except Exception as error:  # the hub's client raises its own errors and those from requests and httpx
        raise DataError(
            f"{name}: the Hugging Face hub cannot be asked which commit '{revision or 'main'}' is ({_short(error)}); "
            "state a full commit as `revision`, or use local files"
        ) from error


def rows(
    name: str, split: str, revision: str | None, *, config: str | None = None, skip: int = 0
) -> Iterator[Mapping[str, Any]]:
    """Yields the rows of a dataset's split after the first `skip`, streamed; `name` is `org/name`, or a folder of data
    files. Raises DataError.
    """
    import datasets

    datasets.disable_progress_bars()
    try:
        streamed = datasets.load_dataset(name, config, split=split, revision=revision, streaming=True)
        yield from streamed.skip(skip) if skip else streamed
    except Exception as error:  # datasets raises its own errors and those from pyarrow and the hub's client
        raise DataError(f"{name}: the split '{split}' cannot be read through `datasets` ({_short(error)})") from error


@dataclass(frozen=True, slots=True)
class HubText:
    """The text column of a dataset at a commit; every row is one document."""

    name: str
    split: str
    field: str
    commit: str | None

    @property
    def identity(self) -> list[object]:
        """The dataset, its split, its column and its commit, which identify a corpus made from it."""
        return ["hub", self.name, self.split, self.field, self.commit]

    def documents(self, unit: str, skip: int = 0) -> Iterator[Iterator[str]]:  # noqa: ARG002 - a row is always a document
        """Yields one document for each row, after the first `skip` rows. Raises DataError if the column has no text."""
        for row in rows(self.name, self.split, self.commit, skip=skip):
            text = row.get(self.field)
            if not isinstance(text, str):
                raise DataError(f"{self.name}: no text in the column '{self.field}'; its columns are {', '.join(row)}")
            yield iter((text,))


def tokenizer_folder(name: str, revision: str | None = None) -> Path:
    """Returns a folder with the tokenizer files of a hub repository, downloaded once. Raises DataError."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(_TOKENIZER_FILES)))
    except Exception as error:  # the hub's client raises its own errors and those from requests and httpx
        raise DataError(
            f"{name}: the tokenizer cannot be fetched from the Hugging Face hub ({_short(error)}); give a "
            "folder or a vocab.txt"
        ) from error


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
