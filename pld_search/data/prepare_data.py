"""Prepares the data and evaluation blocks in the cache: corpus, tokenizer and tasks by content digest.

The coordinator (or `pld-search prepare`) runs it; a training run only opens the folders. Existing results for the same
inputs are reused. Inputs are compared by path, size and time of change, contents by digest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pld_search.data import (
    build_corpus,
    content_cache,
    custom_task,
    demo_corpus,
    demo_tasks,
    glue,
    hub,
    tasks,
    wordpiece,
)
from pld_search.data.build_corpus import Progress
from pld_search.data.locate import Places
from pld_search.data.packed_corpus import FORMAT, Corpus
from pld_search.data.splits import TEST, TRAIN, VALIDATION, assign, shared
from pld_search.data.spool import Spool
from pld_search.data.tasks import TaskContent, TaskData
from pld_search.data.text_sources import TextFiles, Unit, find, stamp
from pld_search.data.wordpiece import WordPiece
from pld_search.errors import DataError
from pld_search.host.disk import expanded
from pld_search.specs.prepared_data import Prepared, PreparedCorpus, PreparedTask
from pld_search.specs.template import DataTemplate, EvaluationTemplate, HubSource, TextSource, TrainedTokenizer


class Documents(Protocol):
    """A source of documents; `identity` distinguishes inputs without reading them."""

    @property
    def identity(self) -> list[object]:
        """Values that differ if the documents differ, for the key of the cache."""

    def documents(self, unit: Unit, skip: int = 0) -> Iterator[Iterator[str]]:
        """Yields every document after the first `skip`."""
        ...


def prepare(
    data: DataTemplate,
    evaluation: EvaluationTemplate,
    cache: Path,
    *,
    places: Mapping[str, str],
    base: Path,
    progress: Progress | None = None,
) -> Prepared:
    """Prepares corpus and tasks under `cache` and returns their folders; it ignores a checkpoint to start from.

    `places` maps first words of written places to folders; other relative places start at `base`; `progress` is called
    with a message for each part of the work. Raises DataError for data that cannot be read as stated.
    """
    where, tell = Places(places, base), progress or (lambda _: None)
    corpus = prepare_corpus(data, expanded(cache).absolute() / "corpora", where, tell)
    return Prepared(
        corpus=corpus, tasks=tuple(prepare_tasks(evaluation, expanded(cache).absolute() / "tasks", where, tell))
    )


def prepare_corpus(data: DataTemplate, root: Path, where: Places, progress: Progress) -> PreparedCorpus:
    """Builds one corpus, or finds it by its content. Raises DataError if it cannot be read or split."""
    sources = {"train": _source(data.train, where)}
    shares: dict[str, float] = {}
    for name in ("validation", "test"):
        written = getattr(data, name)
        if isinstance(written, TextSource):
            sources[name] = _source(written, where)
        else:
            shares[name] = written
    given = None if isinstance(data.tokenizer, TrainedTokenizer) else _given_tokenizer(data.tokenizer, where)
    inputs = {
        "format": FORMAT,
        "sources": {name: source.identity for name, source in sources.items()},
        "shares": shares,
        "document": data.document,
        "tokenizer": data.tokenizer.model_dump()
        if isinstance(data.tokenizer, TrainedTokenizer)
        else given and given.digest,
        # a build by a version without the check for shared documents has another key
        **({"shared": "looked for"} if len(sources) > 1 else {}),
    }

    def build(folder: Path) -> str:
        with Spool(folder) as spool:
            split = _read(spool, sources, shares, data.document, progress)
            tokenizer = given or build_corpus.trained_tokenizer(
                folder, spool, split, _vocabulary(data.tokenizer), progress
            )
            return build_corpus.build(folder, spool, split, tokenizer, progress)

    corpus = Corpus(content_cache.obtain(root, inputs, build, progress))
    return PreparedCorpus(
        corpus=corpus.digest,
        tokenizer=corpus.tokenizer_digest,
        folder=str(corpus.folder),
        vocabulary=corpus.vocabulary,
        statistics=dict(corpus.statistics),
    )


def _source(written: str | TextSource | HubSource, where: Places) -> Documents:
    if isinstance(written, TextSource):
        return TextFiles(find(written.text, where.base, where.named), written.field)
    if isinstance(written, HubSource):
        return hub.HubText(written.hub, written.split, written.field, hub.commit(written.hub, written.revision))
    return demo_corpus.corpus()


def _given_tokenizer(written: str, where: Places) -> WordPiece:
    return wordpiece.load(where.tokenizer(written) or hub.tokenizer_folder(written))


def _vocabulary(written: str | TrainedTokenizer) -> int:
    assert isinstance(written, TrainedTokenizer)  # a stated tokenizer was read before
    return written.vocabulary


def _read(
    spool: Spool, sources: Mapping[str, Documents], shares: Mapping[str, float], unit: Unit, progress: Progress
) -> NDArray[np.uint8]:
    """Writes every document into the spool and returns the split of each."""
    progress("reading documents")
    counts = {name: spool.read(name, partial(source.documents, unit)) for name, source in sources.items()}
    empty = [name for name, count in counts.items() if not count]
    if empty:
        raise DataError(f"the {empty[0]} text has no document with text in it")
    split = np.empty(len(spool), dtype=np.uint8)
    split[: counts["train"]] = assign(spool.hashes[: counts["train"]], shares.get("validation"), shares.get("test"))
    at = counts["train"]
    for name, number in (("validation", VALIDATION), ("test", TEST)):
        split[at : at + counts.get(name, 0)] = number
        at += counts.get(name, 0)
    progress(f"{len(spool)} documents, {int((split == TRAIN).sum())} of them to train on")
    if len(sources) > 1:
        for pair, count in shared(spool.hashes, spool.sizes(np.arange(len(spool))), split).items():
            progress(f"{count:,} documents stand in {pair}: few, as headings are, and kept in both")
    return split


def prepare_tasks(
    evaluation: EvaluationTemplate, root: Path, where: Places, progress: Progress
) -> Iterator[PreparedTask]:
    """Builds each task of an evaluation in turn, or finds it by its content. Raises DataError."""
    if evaluation.tasks == "demo":
        for name in demo_tasks.NAMES:
            yield _task(root, ["demo", name, *demo_tasks.RECIPE], partial(demo_tasks.contents, name), progress)
    for name, place in evaluation.named_tasks:
        yield (
            _glue(name, place, root, where, progress)
            if name in glue.LAYOUTS
            else _own(name, place, root, where, progress)
        )


def _glue(name: str, place: str | None, root: Path, where: Places, progress: Progress) -> PreparedTask:
    """Prepares a GLUE task from its stated place, from the machine's folder for it or for `glue`, or from the hub."""
    found = where.glue(name, place)
    if found is None:
        try:
            commit = hub.commit(glue.HUB, None)
        except DataError as error:
            raise DataError(f"{error}: name GLUE's folder in the machine file, `tasks: {{glue: FOLDER}}`") from error
        return _task(root, ["glue", name, commit], lambda: glue.from_hub(name, commit), progress)
    identity = [stamp(path) for path in glue.split_files(name, found).values()]
    return _task(root, ["glue", name, identity], lambda: glue.from_files(name, found), progress)


def _own(name: str, place: str | None, root: Path, where: Places, progress: Progress) -> PreparedTask:
    assert place is not None  # the template accepts a bare name only for GLUE's tasks
    folder = where.resolve(place)
    described, file = custom_task.described(folder)
    identity = [stamp(path) for path in (file, *custom_task.split_files(described, file).values())]
    return _task(root, ["task", name, identity], lambda: custom_task.content(name, folder), progress)


def _task(root: Path, identity: list[object], read: Callable[[], TaskContent], progress: Progress) -> PreparedTask:
    def build(folder: Path) -> str:
        content = read()
        progress(f"task {content.suite}/{content.name}")
        return tasks.write(folder, content)

    folder = content_cache.obtain(root, {"format": tasks.FORMAT, "task": identity}, build, progress)
    found = TaskData(folder)
    return PreparedTask(task=found.task, folder=str(folder), majority=found.majority())
