"""The work of `init`: inspects texts and machine, writes the study, and first checks that it can be planned."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pld_search.app.machine_setup import DEFAULT_FILE
from pld_search.app.schema_files import modeline
from pld_search.app.starter_text import MACHINE, files_of, study_text
from pld_search.app.study_data import assumed
from pld_search.data.custom_task import FILE
from pld_search.data.guess_task import described_or_guessed
from pld_search.data.inspect_text import TextLook, look
from pld_search.errors import ConfigError, Problem
from pld_search.frozen import canonical_json
from pld_search.host.disk import expanded
from pld_search.search.slots import open_slots
from pld_search.spaces.feasibility import probe
from pld_search.spaces.load_study import load_study
from pld_search.specs.machine import Machine
from pld_search.specs.synonyms import meant
from pld_search.specs.template import GLUE_TASKS
from pld_search.specs.written_schedules import is_place, place

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_FEWEST = 3  # train, validation and test need a document each


def initial(name: str, text: Sequence[str], tasks: Sequence[str], start: str | None, base: Path) -> Iterator[str]:
    """Writes NAME.yaml into `base` and yields lines for the user. Raises ConfigError or DataError before it writes
    anything.
    """
    file = base / f"{name}.yaml"
    _check_name(name, file)
    seen = look(text, base)
    _check_enough(seen)
    written, guesses = _tasks(tasks, base)
    slots = open_slots(Machine(), os.environ)
    place = None if start is None else _place(start, base)
    cache = Path(Machine().cache)
    content = modeline("study", cache) + study_text(
        name, text, seen, written, place, None if place is None else _longest(place, base), slots.device
    )
    _check_study(content, base)
    for path, guess in guesses.items():
        path.write_text(guess, encoding="utf-8")
    file.write_text(content, encoding="utf-8")
    machine = base / DEFAULT_FILE
    if slots.device == "cuda" and not machine.exists():
        machine.write_text(modeline("machine", cache) + MACHINE.format(slots=slots.free), encoding="utf-8")
        yield f"{machine}: {slots.free} run{'s' if slots.free > 1 else ''} at once"
    yield from _findings(seen, guesses)
    yield f"{file} written, for {slots.device}. Next:"
    yield f"  pld-search plan {file}"
    yield f"  pld-search run {file}"


def _findings(seen: TextLook, guesses: dict[Path, str]) -> Iterator[str]:
    what = f"the field '{seen.field}' of each record" if seen.field else f"one document a {seen.document}"
    yield (
        f"{files_of(seen)}, about {seen.documents:,} documents of {seen.characters // max(1, seen.documents):,} "
        f"characters; {what}"
    )
    if len(seen.fields) > 1:
        yield f"other text fields: {', '.join(name for name in seen.fields if name != seen.field)}"
    for path, guess in guesses.items():
        yield f"{path} written: " + ", ".join(line.split("   #")[0] for line in guess.splitlines())


def _check_name(name: str, file: Path) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(
            Problem(
                "NAME becomes a file and a folder",
                allowed="letters, digits, _ . and -, a letter or digit first",
                given=name,
            )
        )
    if file.exists():
        raise ConfigError(Problem("this study is already there; nothing is overwritten", given=str(file)))


def _check_enough(seen: TextLook) -> None:
    if seen.documents < _FEWEST:
        rule = "too few documents to train, validate and test on"
        raise ConfigError(
            Problem(
                rule, allowed=f"at least {_FEWEST}; text is cut at blank lines or line ends", given=str(seen.documents)
            )
        )


def _tasks(written: Sequence[str], base: Path) -> tuple[list[str], dict[Path, str]]:
    """Returns the entries of `evaluation.tasks`, and the text of a task.yaml for every folder that has none."""
    entries, guesses = [], {}
    for text in written:
        name, given, place = text.partition("=")
        if not given and name not in GLUE_TASKS:
            allowed = f"NAME=DIR, or one of GLUE's: {' | '.join(GLUE_TASKS)}"
            raise ConfigError(
                Problem("--task names no task of GLUE", allowed=allowed, given=text, suggestion=meant(name, GLUE_TASKS))
            )
        if given and not (_NAME.fullmatch(name) and place):
            raise ConfigError(Problem("--task", allowed="NAME=DIR", given=text))
        if given and name not in GLUE_TASKS:
            guess = described_or_guessed(base / expanded(place))
            guesses.update({} if guess is None else {base / expanded(place) / FILE: guess})
        entries.append(f"{{{name}: {_quoted(_place(place, base))}}}" if given else name)
    return entries, guesses


def _quoted(text: str) -> str:

    return canonical_json(text)


def _place(written: str, base: Path) -> str:
    """Writes an existing folder as a path (`./x`); any other text stays as it is, an id of the hub."""
    return f"./{written.rstrip('/')}" if not is_place(written) and (base / written).exists() else written


def _longest(start: str, base: Path) -> int | None:
    """Returns the rows of a starting checkpoint's table of positions. Raises ConfigError when it cannot be read."""
    from pld_search.model.pretrained import checkpoint_architecture, find  # loads torch

    model = checkpoint_architecture(find(str(place(start, base)) if is_place(start) else start, weights=False))
    return model.max_length if model.positions == "learned" else None


def _check_study(content: str, base: Path) -> None:
    """Checks the study as `validate` does, under a temporary name."""
    draft = base / f".init-{os.getpid()}.yaml"
    draft.write_text(content, encoding="utf-8")
    try:
        study = load_study(draft)
        unbuildable = probe(study, assumed(study)).unbuildable
    finally:
        draft.unlink()
    if unbuildable:
        raise ConfigError(unbuildable[0].problems)
