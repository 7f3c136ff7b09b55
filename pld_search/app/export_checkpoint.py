"""Exports a checkpoint with its run's records, its tokenizer and the loss of a subnetwork; writes everything or
nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pld_search.app.checkpoint_origin import Origin, origin_of
from pld_search.data import tokenizer_file, wordpiece
from pld_search.data.wordpiece import WordPiece
from pld_search.errors import ConfigError, DataError, Problem
from pld_search.model.build_model import load_bert
from pld_search.model.export_model import Carried, SpecialIds, has_pair_heads, logits_difference, write_plain
from pld_search.model.expressible import refuse_inexpressible
from pld_search.model.layered_model import LayeredModel
from pld_search.model.pretrained import carried_heads
from pld_search.model.subnetwork import evenly_kept, subnetwork
from pld_search.report.model_card import Card, model_card
from pld_search.training.evaluation import validation_losses


@dataclass(frozen=True, slots=True)
class Exported:
    """The result of an export. `kept` and `losses` (validation: whole, subnetwork) are None for a whole network."""

    architecture: str
    layers: int
    kept: tuple[int, ...] | None
    losses: tuple[float, float] | None
    difference: float
    notes: tuple[str, ...]

    def as_json(self, out: Path) -> dict[str, Any]:
        """Returns the JSON of `export --json`: kept layers are numbered from 1, losses are in nats a token."""
        losses = None if self.losses is None else {"whole": self.losses[0], "subnetwork": self.losses[1]}
        kept = list(self.kept or range(1, self.layers + 1))
        return {
            "folder": str(out),
            "architecture": self.architecture,
            "layers": self.layers,
            "kept": kept,
            "valid/loss": losses,
            "logits_difference": self.difference,
            "notes": list(self.notes),
        }


def exported(source: Path, out: Path, layers: str | None, tokenizer: Path | None) -> Exported:
    """Exports `source` into `out`. Raises ConfigError or DataError before it writes anything, and CheckpointError."""
    _check_free(out)
    origin = origin_of(source)
    pieces = _tokenizer(origin, tokenizer)
    whole = _model(origin, len(pieces.vocabulary))
    kept, model = _reduced(whole, layers)
    refuse_inexpressible(model.config)
    notes: list[str] = []
    losses = None if kept is None else _losses(origin, whole, model, notes)
    carried = None if model.pretrained_pooler is not None else _carried_heads(origin, notes)
    ids = SpecialIds(pieces.specials.pad, pieces.specials.cls, pieces.specials.sep)
    with _at_once(out) as folder:
        architecture = write_plain(model, folder, ids, carried)
        if carried is None and not has_pair_heads(model.config):
            notes.append(f"The pooler and the next-sentence head are left out: {architecture} has no place for them.")
        pieces.save_plain(folder, origin.trained_length or whole.config.max_position_embeddings)
        what = out.name, architecture, whole.config.num_hidden_layers, kept, losses
        card = Card(*what, origin.experiment, origin.record, origin.step, notes)
        (folder / "README.md").write_text(model_card(card), encoding="utf-8")
        difference = logits_difference(model, folder, ids.pad)
    return Exported(architecture, whole.config.num_hidden_layers, kept, losses, difference, tuple(notes))


def layers_asked(written: str, layers: int) -> tuple[int, ...]:
    """Returns the layers that `--layers` keeps: a number of evenly spaced layers, or a list. Raises ConfigError."""
    words = [word.strip() for word in written.split(",")]
    allowed = f"a number, 1 .. {layers}, or a list of layers in ascending order such as 1,3,5"
    if not all(word.isascii() and word.isdecimal() and 1 <= int(word) <= layers for word in words):
        raise ConfigError(Problem(f"--layers of a model of {layers}", allowed=allowed, given=written))
    numbers = tuple(int(word) for word in words)
    if len(numbers) == 1:
        return evenly_kept(layers, numbers[0])
    if list(numbers) != sorted(set(numbers)):
        raise ConfigError(Problem("--layers names each layer once, in ascending order", allowed=allowed, given=written))
    return numbers


def _reduced(whole: LayeredModel, layers: str | None) -> tuple[tuple[int, ...] | None, LayeredModel]:

    if layers is None:
        return None, whole
    kept = layers_asked(layers, whole.config.num_hidden_layers)
    return (None, whole) if len(kept) == whole.config.num_hidden_layers else (kept, subnetwork(whole, kept))


def _model(origin: Origin, pieces: int) -> LayeredModel:

    model: LayeredModel = load_bert(origin.checkpoint)
    model.eval()
    if model.config.vocab_size != pieces:
        raise DataError(
            f"{origin.checkpoint}: a model of {model.config.vocab_size} tokens, but the tokenizer has {pieces} pieces"
        )
    return model


def _tokenizer(origin: Origin, stated: Path | None) -> WordPiece:
    """Loads the stated tokenizer, the checkpoint's own, or the one of the run's corpus. Raises DataError."""
    own = any((origin.checkpoint / name).is_file() for name in tokenizer_file.FILES)
    places = [place for place in (stated, origin.checkpoint if own else None, origin.corpus) if place is not None]
    if not places or not places[0].exists():
        missing = f"{places[0]} is not there" if places else "this checkpoint is not inside a run"
        raise DataError(f"the tokenizer of {origin.checkpoint} is not known: {missing}; name it with --tokenizer DIR")
    found = wordpiece.load(places[0])
    expected = origin.experiment.data.tokenizer if origin.experiment is not None else found.digest
    if found.digest != expected:
        raise DataError(f"{places[0]}: its tokenizer is {found.digest}, the run's is {expected}")
    return found


def _losses(origin: Origin, whole: LayeredModel, part: LayeredModel, notes: list[str]) -> tuple[float, float] | None:
    """Returns the validation losses of both networks, when the run's corpus is on this machine."""
    if origin.experiment is None or origin.execution is None:
        notes.append(
            "What the subnetwork loses is not known: the checkpoint is not inside a run, which would name "
            "its validation text."
        )
        return None

    try:
        losses = validation_losses(origin.experiment, origin.execution, (whole, part))
    except (ConfigError, DataError) as error:
        notes.append(
            "What the subnetwork loses is not known: the validation text cannot be read "
            f"({str(error).splitlines()[0]})."
        )
        return None
    return losses[0], losses[1]


def _carried_heads(origin: Origin, notes: list[str]) -> Carried:
    """Returns pooler and next-sentence head of the checkpoint, or of the checkpoint that its run started from."""
    if origin.start is not None and not origin.start.is_dir():
        notes.append(
            "The pooler and next-sentence head of the checkpoint that the run started from are left out, if "
            "it had them: its folder is gone."
        )
        return Carried()
    architecture, heads = carried_heads(origin.start or origin.checkpoint)
    if heads:
        notes.append(
            "The pooler, and the next-sentence head where there is one, are those of the checkpoint that "
            "training started from, untrained since."
        )
    return Carried(architecture, heads)


def _check_free(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(Problem("--out is already there and not empty; nothing is overwritten", given=str(out)))


@contextmanager
def _at_once(out: Path) -> Iterator[Path]:
    """Yields a hidden folder beside `out`, which is renamed to `out` when everything in it was written."""
    partial = out.absolute().with_name(f".{out.name}.{os.getpid()}.part")
    try:
        partial.mkdir(parents=True)
        yield partial
        if out.is_dir():
            out.rmdir()
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
