"""Shipped files and snippets of the docs with one or two things changed, given to the command line: exit 0, 2 or 3,
one line a problem, never a traceback, never a wait, never a message that stands in a file its user did not write.

Schedules, studies and machine files; changes of meaning (values, keys, numbers, parts of other files) and of text
(characters, lines, indentation). What is accepted is built once. 250 here; 5,000 in the soak run.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from pld_search.cli.main import app
from pld_search.schedules.library import shipped
from pld_search.schedules.schedule import Schedule
from pld_search.spaces.systems import TOP_WORDS
from pld_search.specs.machine import Machine
from pld_search.specs.tree_changes import expand, merge
from pld_search.specs.yaml_io import dump, load, plain
from tests.costs.test_mutations import VALUES
from tests.spaces.broken import GOOD

SECONDS = 6.0  # of the processor: other work of the machine does not count
PAGES = Path(__file__).parents[2] / "docs"
_VALUES = (
    *VALUES,
    *(
        "9223372036854775808",
        "1e29",
        "100000000",
        "-1e-29",
        "0",
        "1000001",
        "\uff11.0",
        "{saving: 25 % of blocks}",
        "pld",
    ),
    *(
        "{base: pld, temporal.end: 0}",
        "{choice: {a: {saving: like pld}}}",
        "{float: [0, 1]}",
        "{log: [1e-4, 1e-2]}",
        "'x",
    ),
    *(
        "{base: ./s.yaml}",
        "{kind: lowest}",
        "{int: [1, 1e9]}",
        "!!python/object:os.system x",
        "*a",
        "2026-01-01",
        "0x1F",
    ),
)
_KEYS = (
    "base",
    "saving",
    "kind",
    "seed",
    "tune",
    "systems",
    "schedule.temporal.end",
    "choice",
    "steps",
    "model.layers",
    "from",
)
_CHARACTERS = "\t{}[]:,&*!|>'\"%@`-?#~ é\x07\u2028\uff10\ufeff"
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_PLACE = re.compile(r"(\S+\.ya?ml):[0-9]+:[0-9]+")
FILE = "FILE"


class Source(NamedTuple):
    """A file that is right, and what reads it: schedule, study or machine."""

    name: str
    kind: str
    text: str


def sources() -> list[Source]:
    """Every shipped file, and every YAML snippet of the docs within what it is a part of."""
    found = [Source(name, "schedule", path.read_text("utf-8")) for name, path in shipped("schedules").items()]
    found += [Source(name, "study", path.read_text("utf-8")) for name, path in shipped("spaces").items()]
    for page in sorted(PAGES.glob("*.md")):
        for number, snippet in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)):
            if all(line.startswith("#") for line in snippet.splitlines()):
                continue  # a comment alone: docs/editors.md
            one_of_several = len({line.split(":")[0] for line in snippet.splitlines()}) == 1
            text = snippet.splitlines()[0] + "\n" if one_of_several else snippet
            found.append(completed(f"{page.name} {number}", text))
    return found


def completed(name: str, snippet: str) -> Source:
    """A snippet within what it is a part of: a schedule of the library, or a study with twelve layers and a decay."""
    tree = load(snippet, name)
    keys = {key.split(".")[0] for key in tree}
    if keys <= set(Machine.model_fields) and keys & {"launcher", "slots", "corpora"}:
        return Source(name, "machine", snippet)
    if keys <= {*Schedule.model_fields, "base"} and not keys & {"experiment", "budget"}:
        whole = {"temporal", "depth", "draw", "rescale", "skipped"} <= keys or "base" in keys
        return Source(name, "schedule", snippet if whole else f"base: pld\n{snippet}")
    if {"experiment", "budget"} <= keys:
        return Source(name, "study", snippet)
    good = GOOD.replace("layers: 4", "layers: 12").replace("warmup: 2 %", "warmup: 2 %, shape: wsd")
    good += "waive: {tuning: these rows show keys and are not compared}\n"
    part = expand(tree if keys <= set(TOP_WORDS) else {"experiment": tree})
    return Source(name, "study", dump(plain(merge(expand(load(good, name)), part))))


def mutated(text: str, others: list[Source], rng: random.Random) -> str:
    """The text with one change."""
    lines = text.splitlines()
    number = rng.choice([index for index, line in enumerate(lines) if line.strip()] or [0])
    line = lines[number]
    kind = rng.choice(
        ("value", "value", "key", "scale", "drop", "twice", "swap", "indent", "text", "text", "cut", "splice")
    )
    indent = line[: len(line) - len(line.lstrip())]
    if kind == "value":
        places = [match.end() for match in re.finditer(r":\s", line)] or [len(line)]
        start = rng.choice(places)
        end = min([index for index in (line.find(sign, start) for sign in ",}]#") if index >= 0] or [len(line)])
        lines[number] = f"{line[:start]}{rng.choice(_VALUES)}{line[end:]}"
    elif kind == "key":
        lines.insert(number, f"{indent}{rng.choice(_KEYS)}: {rng.choice(_VALUES)}")
    elif kind == "scale" and (numbers := list(_NUMBER.finditer(line))):
        match = rng.choice(numbers)
        lines[number] = f"{line[: match.start()]}{match[0]}{'0' * rng.randrange(1, 12)}{line[match.end() :]}"
    elif kind == "drop":
        del lines[number]
    elif kind == "twice":
        lines.insert(number, line)
    elif kind == "swap":
        other = rng.randrange(len(lines))
        lines[number], lines[other] = lines[other], line
    elif kind == "indent":
        lines[number] = " " * rng.randrange(6) + line.lstrip()
    elif kind == "cut":
        lines = [*lines[:number], line[: rng.randrange(len(line) + 1)]]
    elif kind == "splice":
        other_lines = rng.choice(others).text.splitlines()
        first = rng.randrange(len(other_lines))
        lines[number:number] = other_lines[first : first + rng.randrange(1, 4)]
    else:
        where = rng.randrange(len(line) + 1)
        lines[number] = line[:where] + rng.choice(_CHARACTERS) + line[where + rng.randrange(2) :]
    return "\n".join(lines) + "\n"


COMMANDS: dict[str, list[str]] = {
    "schedule": ["schedule", "show", FILE, "--layers", "12", "--steps", "1000"],
    "study": ["validate", FILE, "--points", "1", "--elsewhere"],
    "machine": ["validate", "demo", "--machine", FILE, "--points", "1", "--elsewhere"],
}
OUTCOMES = {0: "accepted", 2: "refused", 3: "refused"}


def tried(source: Source, text: str, file: Path) -> str:
    """What the command line makes of a text: `accepted` or `refused`. Fails for any other exit code, for a line that
    is no message, for a message in another file, and for a wait.
    """
    file.write_text(text, encoding="utf-8")
    began = time.process_time()
    result = CliRunner().invoke(app, [str(file) if word == FILE else word for word in COMMANDS[source.kind]])
    seconds = time.process_time() - began
    what = f"{source.name}: exit {result.exit_code}, {seconds:.1f} s\n{result.output[-2000:]}\n{text}"
    assert result.exit_code in OUTCOMES, what
    assert "Traceback" not in result.output, what
    lines = result.stderr.splitlines()
    assert bool(lines) == (result.exit_code > 0), what
    assert all(line.startswith("pld-search: ") for line in lines), what
    assert {named[1] for named in _PLACE.finditer(result.output)} <= {str(file)}, what
    assert seconds <= SECONDS, what
    return OUTCOMES[result.exit_code]


def mutations(count: int, seed: int, folder: Path) -> Counter[str]:
    rng, all_sources, seen = random.Random(seed), sources(), Counter[str]()
    for number in range(count):
        kind = rng.choices(("study", "schedule", "machine"), (6, 3, 1))[0]
        source = rng.choice([source for source in all_sources if source.kind == kind])
        text = mutated(source.text, all_sources, rng)
        if number % 3 == 0:
            text = mutated(text, all_sources, rng)
        seen[f"{source.kind} {tried(source, text, folder / 's.yaml')}"] += 1
    return seen


def test_the_sources_are_right(tmp_path: Path) -> None:
    found = sources()
    assert len(found) >= 30
    kinds = Counter(source.kind for source in found)
    assert set(kinds) == {"schedule", "study", "machine"}
    right = [source.name for source in found if tried(source, source.text, tmp_path / "s.yaml") == "accepted"]
    assert len(right) >= 0.8 * len(found)


def test_a_few_hundred_mutations(tmp_path: Path) -> None:
    seen = mutations(250, 17, tmp_path)
    assert sum(seen.values()) == 250
    assert all(seen[f"{kind} refused"] >= 3 for kind in ("schedule", "study", "machine"))
    assert seen["study accepted"] >= 5


@pytest.mark.soak
def test_five_thousand_mutations(tmp_path: Path) -> None:
    seen = mutations(5000, 171, tmp_path)
    print(dict(seen))
    assert sum(seen.values()) == 5000
