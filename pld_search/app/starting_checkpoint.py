"""The checkpoint that a study's `model: {from: ...}` names: finds and describes it, and checks its tokens against the
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
    """Returns `prepared` with the checkpoint that `written` names. Raises ConfigError when it cannot be read or its
    tokens differ from the corpus's tokens.
    """
    try:
        folder = _folder(written, Path(study.base), weights=True)
        tell(f"checkpoint {written.source}: {described(folder)}")
        model = checkpoint_spec(folder)
    except ConfigError as error:
        raise _located(error, study) from error
    _check_tokens(folder, prepared, not isinstance(study.experiment["data"]["tokenizer"], str), study)
    return prepared.model_copy(update={"checkpoint": PreparedCheckpoint(model=model, folder=str(folder.absolute()))})


def architecture(written: ModelFrom, study: Study) -> Model:
    """Returns the architecture of the checkpoint that `written` names; from the hub only the configuration is fetched.
    Raises ConfigError.
    """
    try:
        return checkpoint_architecture(_folder(written, Path(study.base), weights=False))
    except ConfigError as error:
        raise _located(error, study) from error


def _folder(written: ModelFrom, base: Path, *, weights: bool) -> Path:

    return find(
        str(place(written.source, base)) if is_place(written.source) else written.source,
        written.revision,
        weights=weights,
    )


def _located(error: ConfigError, study: Study) -> ConfigError:
    """Returns the problems of a checkpoint at the place where the study's file names it."""
    mark = mark_at(study.experiment, _FROM)
    return ConfigError(
        [problem.below(("experiment",)).at(mark) if problem.path == _FROM else problem for problem in error.problems]
    )


def _check_tokens(folder: Path, prepared: Prepared, trained: bool, study: Study) -> None:
    """Checks that a checkpoint has the corpus's tokens: the same number of other tokens would train without an error.

    The tokens are known when a tokenizer lies beside the checkpoint or a run around it. Otherwise a stated tokenizer is
    trusted, and a `trained` one is refused.
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
    """Returns how the corpus's tokens differ from the checkpoint's; None when no difference is known."""
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
    """Returns the digest of the tokenizer of the run around a checkpoint."""
    experiment = origin_of(folder).experiment
    return None if experiment is None else experiment.data.tokenizer
