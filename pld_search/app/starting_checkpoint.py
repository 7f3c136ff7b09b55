"""The checkpoint that a study's `model: {from: ...}` names: found, described, and checked against the tokens of the
corpus.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pld_search.app.checkpoint_origin import origin_of
from pld_search.data import tokenizer_file, wordpiece
from pld_search.errors import ConfigError, Problem
from pld_search.model.pretrained import checkpoint_architecture, checkpoint_spec, described, find
from pld_search.spaces.study import Study
from pld_search.specs.experiment import Model
from pld_search.specs.prepared_data import Prepared, PreparedCheckpoint
from pld_search.specs.template import ModelFrom
from pld_search.specs.written_schedules import is_place, place
from pld_search.specs.yaml_io import mark_at

_FROM = ("model", "from")


def with_checkpoint(prepared: Prepared, written: ModelFrom, study: Study, tell: Callable[[str], None]) -> Prepared:
    """`prepared` with the checkpoint that `written` names. Raises ConfigError where it cannot be read or its tokens are
    not the corpus's.
    """
    try:
        folder = _folder(written, Path(study.base), weights=True)
        tell(f"checkpoint {written.source}: {described(folder)}")
        model = checkpoint_spec(folder)
    except ConfigError as error:
        raise _at_its_place(error, study) from error
    _check_tokens(folder, prepared, not isinstance(study.experiment["data"]["tokenizer"], str), study)
    return prepared.model_copy(update={"checkpoint": PreparedCheckpoint(model=model, folder=str(folder.absolute()))})


def architecture(written: ModelFrom, study: Study) -> Model:
    """The architecture of the checkpoint that `written` names; of the hub's only the configuration is fetched. Raises
    ConfigError.
    """
    try:
        return checkpoint_architecture(_folder(written, Path(study.base), weights=False))
    except ConfigError as error:
        raise _at_its_place(error, study) from error


def _folder(written: ModelFrom, base: Path, *, weights: bool) -> Path:

    return find(
        str(place(written.source, base)) if is_place(written.source) else written.source,
        written.revision,
        weights=weights,
    )


def _at_its_place(error: ConfigError, study: Study) -> ConfigError:
    """The problems of a checkpoint where the study's file names it."""
    mark = mark_at(study.experiment, _FROM)
    return ConfigError(
        [problem.below(("experiment",)).at(mark) if problem.path == _FROM else problem for problem in error.problems]
    )


def _check_tokens(folder: Path, prepared: Prepared, trained: bool, study: Study) -> None:
    """A checkpoint must have the corpus's tokens: as many others would train without an error.

    They are known where a tokenizer lies beside it, or a run around it; else a stated tokenizer is believed, and a
    `trained` one is not.
    """
    why = _other_tokens(folder, prepared)
    if why is None and trained and not _has_tokenizer(folder) and _run_tokenizer(folder) is None:
        why = (
            "the checkpoint's tokens are not known, so a tokenizer trained on this text may have others: name "
            "the checkpoint's"
        )
    if why is not None:
        path = ("data", "tokenizer")
        allowed = "the checkpoint's own: its folder, a vocab.txt or a hub id"
        raise ConfigError(Problem(why, ("experiment", *path), mark_at(study.experiment, path), allowed))


def _other_tokens(folder: Path, prepared: Prepared) -> str | None:
    """In which way the corpus's tokens are seen not to be the checkpoint's."""
    if not _has_tokenizer(folder):
        digest = _run_tokenizer(folder)
        same = digest in (None, prepared.corpus.tokenizer)
        return (
            None
            if same
            else f"the corpus's tokenizer is {prepared.corpus.tokenizer}, the checkpoint's run had {digest}"
        )
    own, used = wordpiece.load(folder).vocabulary, wordpiece.load(Path(prepared.corpus.folder)).vocabulary
    if own == used:
        return None
    first = next(
        (index for index, (mine, theirs) in enumerate(zip(own, used, strict=False)) if mine != theirs),
        min(len(own), len(used)),
    )
    return (
        f"the corpus has other tokens than the checkpoint ({len(used):,} against {len(own):,}; the first "
        f"difference is token {first})"
    )


def _has_tokenizer(folder: Path) -> bool:

    return any((folder / name).is_file() for name in tokenizer_file.FILES)


def _run_tokenizer(folder: Path) -> str | None:
    """The digest of the tokenizer of the run that a checkpoint lies in."""
    experiment = origin_of(folder).experiment
    return None if experiment is None else experiment.data.tokenizer
