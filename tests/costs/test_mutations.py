"""Shipped schedule files with one thing changed: never a traceback, the problem is where the change is, and what is
accepted works.

Most mutations leave well-formed YAML with one wrong meaning (a value of another kind, a misspelt key, another family's
word, a number out of range, a key twice); the others damage the text. 1,000 here; 20,000 in the soak run.
"""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from pld_search.costs.load_schedule import load_schedule
from pld_search.errors import ConfigError
from pld_search.schedules.library import names, path_of
from pld_search.schedules.plan import Plan
from pld_search.schedules.schedule import Schedule
from pld_search.specs.validate import check
from pld_search.specs.yaml_io import dump, load

STEPS, LAYERS = 40, 12
_LINE = re.compile(r"(?P<indent> *)(?P<key>[^#:\n]+):(?P<value>[^#\n]*?)(?P<rest>\s*#.*)?")
_NAMED = re.compile(r"in lines? ([0-9]+)(?:-([0-9]+))?")
VALUES = (
    "{wrong: 1}",
    "[[1]]",
    "-3",
    "1.5",
    "7 parsecs",
    "true",
    "~",
    "250 %",
    "0.5 / run",
    "3 steps",
    ".nan",
    "''",
    "[]",
)
_WORDS = (
    "constant",
    "linear",
    "cosine",
    "stages",
    "uniform",
    "alternate",
    "bernoulli",
    "exact",
    "lowest",
    "sequence",
    "sublayer",
    "block",
)
_TEXTS = ("name", "about", "source")
_GARBAGE = "\t{}[]:,&*!|>'\"%@`-?#~ é\x07"


class Mutated(NamedTuple):
    """`line` counts from 1; key: what stands there; meaning: whether the change is one of meaning and the YAML still
    well formed.
    """

    text: str
    line: int
    key: str
    meaning: bool


def _mutate(text: str, rng: random.Random) -> Mutated:
    lines = text.splitlines()
    candidates = [
        (number, match)
        for number, line in enumerate(lines)
        if (match := _LINE.fullmatch(line)) and match["key"].strip() not in _TEXTS
    ]
    number, match = rng.choice(candidates)
    key, value, rest = match["key"].strip(), match["value"].strip(), match["rest"] or ""
    head = f"{match['indent']}{match['key']}"
    kind = rng.choices(["value", "word", "key", "more", "twice", "damage", "cut"], [5, 3, 2, 2, 1, 3, 1])[0]
    if kind in ("value", "word") and value:
        lines[number] = f"{head}: {rng.choice(VALUES if kind == 'value' else _WORDS)}{rest}"
    elif kind == "more":
        lines.insert(
            number,
            f"{match['indent']}{rng.choice(('theta', 'gamma', 'lag', 'power', 'index', 'layers', 'steps'))}: 1{rest}",
        )
    elif kind == "twice" and value:
        lines.insert(number + 1, lines[number])
        number += 1
    elif kind in ("damage", "cut"):
        where = rng.randrange(len(lines[number]) + 1)
        after = "" if kind == "cut" else lines[number][where + rng.randrange(2) :]
        lines[number] = lines[number][:where] + (rng.choice(_GARBAGE) if kind == "damage" else "") + after
    else:
        place = rng.randrange(len(key))
        lines[number] = f"{match['indent']}{key[:place]}{rng.choice('xyz')}{key[place + 1 :]}:{match['value']}{rest}"
    return Mutated("\n".join(lines) + "\n", number + 1, key, kind not in ("damage", "cut"))


def _tried(mutated: Mutated, file: Path) -> str:
    """`accepted` or `refused`; anything else than a schedule that works or a ConfigError at the right place fails the
    test.
    """
    file.write_text(mutated.text, encoding="utf-8")
    try:
        schedule = load_schedule(file, layers=LAYERS, steps=STEPS)
        _works(schedule)
    except ConfigError as error:
        assert error.problems
        assert all(problem.mark is not None for problem in error.problems), error
        if mutated.meaning:
            assert mutated.line in _reported(error), f"line {mutated.line} of\n{mutated.text}\n{error}"
        return "refused"
    return "accepted"


def _reported(error: ConfigError) -> set[int]:
    """The lines of the problems, and those that a message names where two keys clash and either could be the
    wrong one.
    """
    lines = {problem.mark.line for problem in error.problems if problem.mark is not None}
    for first, last in _NAMED.findall(str(error)):
        lines |= set(range(int(first), int(last or first) + 1))
    return lines


def _works(schedule: Schedule) -> None:
    """It can be planned for a run that it is for, and comes back from YAML as it was."""
    sequences = schedule.draw.strata
    plan = Plan(schedule, 0, STEPS, LAYERS, 1, sequences)
    for step in (0, 1, STEPS - 1):
        plan.at(step, 0)
    assert np.isfinite(schedule.theta(np.arange(STEPS + 1), STEPS)).all()
    written = dump(schedule.model_dump(mode="json"))
    assert check(Schedule, load(written, "again.yaml")) == schedule


def _mutations(count: int, seed: int, folder: Path) -> dict[str, int]:
    rng, texts = random.Random(seed), [path_of(name).read_text() for name in names()]
    seen = {"accepted": 0, "refused": 0, "meaning": 0}
    for _ in range(count):
        mutated = _mutate(rng.choice(texts), rng)
        seen[_tried(mutated, folder / "mutated.yaml")] += 1
        seen["meaning"] += mutated.meaning
    return seen


def test_a_thousand_mutations(tmp_path: Path) -> None:
    seen = _mutations(1000, 0, tmp_path)
    assert seen["meaning"] >= 400
    assert seen["refused"] >= 500
    assert seen["accepted"] >= 50


@pytest.mark.soak
def test_twenty_thousand_mutations(tmp_path: Path) -> None:
    seen = _mutations(20_000, 1, tmp_path)
    assert seen["meaning"] >= 8000
    assert seen["accepted"] + seen["refused"] == 20_000
