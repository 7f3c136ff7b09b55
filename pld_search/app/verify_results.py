"""Recomputes published results: the page from its records, and one run from its experiment.

A folder of published results has a module `results` that writes `RESULTS.md` and `results.json` from `records/`
(records/packed_records.py) into the folder that `--out` names; `evidence/` is an example. The module is code, and
`verify` runs it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pld_search.errors import ConfigError, DataError, Problem, StudyError
from pld_search.records import packed_records
from pld_search.records.events import RunEvent, RunStarted, last_start, metrics_of, read_run_events, run_events
from pld_search.records.run_record import fold, surviving
from pld_search.records.study_events import study_events
from pld_search.records.study_record import fold as fold_records
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.specs.spec_files import write_execution, write_experiment

PAGE, NUMBERS, RECORDS = "RESULTS.md", "results.json", "records"
ROUNDING = 1e-9
"""Relative difference allowed in a number of the page, for two versions of numpy or scipy."""
TOLERANCE = 0.02
"""Allowed difference of `test/loss` in nats when bits cannot agree: another commit, torch, instruction set or number of
threads. Runs of equal seed that differ by rounding diverge, and end about as far apart as runs of two seeds after
blocking.
"""
_PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]+)\)")


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its subject, whether it holds, and the observation."""

    what: str
    holds: bool
    seen: str


def verify(folder: Path) -> list[Check]:
    """Recomputes page and numbers of a folder of published results and compares them. Raises ConfigError,
    StudyError.
    """
    _existing(folder)
    with TemporaryDirectory() as temporary:
        again = Path(temporary)
        _compute(folder, again)
        published, found = (_numbers(each / NUMBERS) for each in (folder, again))
        lines = [(each / PAGE).read_text(encoding="utf-8").splitlines() for each in (folder, again)]
    pictures = _PICTURE.findall("\n".join(lines[0]))
    missing = [name for name in pictures if not (folder / name).is_file()]
    wrong = list(unequal(published, found))
    return [
        Check("numbers and verdicts", not wrong, wrong[0] if wrong else f"{_count(found)} recomputed, all equal"),
        Check("page", lines[0] == lines[1], _first_difference(*lines)),
        Check("pictures", not missing, f"missing: {', '.join(missing)}" if missing else f"{len(pictures)} there"),
    ]


def unequal(published: Any, found: Any, at: str = "") -> Iterator[str]:
    """Yields one line for each place where two JSON values differ by more than rounding."""
    if isinstance(published, dict) and isinstance(found, dict):
        for key in sorted({*published, *found}):
            if key not in published or key not in found:
                yield f"{at}{key}: {'not published' if key in found else 'published, and not found again'}"
            else:
                yield from unequal(published[key], found[key], f"{at}{key} / ")
    elif isinstance(published, list) and isinstance(found, list) and len(published) == len(found):
        for number, (one, other) in enumerate(zip(published, found, strict=True)):
            yield from unequal(one, other, f"{at}{number} / ")
    elif not _same(published, found):
        yield f"{at.removesuffix(' / ')}: published {published}, found {found}"


def _same(published: Any, found: Any) -> bool:
    if isinstance(published, float) and isinstance(found, float | int):
        return abs(published - found) <= ROUNDING * max(1.0, abs(published))
    return type(published) is type(found) and bool(published == found)


def retrain(
    folder: Path,
    run: str,
    out: Path,
    prepare: Callable[[Mapping[str, Any]], Mapping[str, str]],
    program: Sequence[str] = (sys.executable, "-m", "pld_search"),
    until: int | None = None,
) -> list[Check]:
    """Trains one published run again in `out`, and compares every number that its training wrote.

    run: STUDY/TRIAL/SEED-INDEX, as in `evidence-a/3/0`. until: trains only this many first steps and compares the
    numbers recorded up to there. prepare: prepares the data of a study's definition and returns the folder of each
    content digest. program: the command that trains, for example `pld-search` of another environment. Bits must agree
    when commit, torch, instruction set and threads equal the record's; otherwise `test/loss` must agree within
    TOLERANCE (with `until`, `train/loss`). Raises ConfigError, DataError, StudyError.
    """
    recorded = published_run(folder, run)
    started = recorded.started
    places = prepare(recorded.definition)
    missing = [digest for digest in started.execution_folders if digest not in places]
    if missing:
        raise DataError(f"{run} was trained on other data than this machine prepares: {missing[0]}")
    execution = Execution.model_validate({**(started.execution or {}), "folders": dict(places)})
    write_experiment(out / "experiment.yaml", Experiment.model_validate(started.experiment))
    write_execution(out / "execution.yaml", execution)
    part = [] if until is None else ["--until", str(until)]
    _run([*program, "train", str(out / "experiment.yaml"), "--out", str(out), *part], None)
    events = read_run_events(out / packed_records.EVENTS)
    found = fold(events)
    if not (found.ended or (found.state == "paused" and found.step == until)):
        raise StudyError(f"{run}: the repeated training did not end; the same command with --out {out} goes on")
    return compared(recorded, events, _instruction_set(), until)


@dataclass(frozen=True, slots=True)
class Published:
    """A packed run: its events, its study's definition, and the recorded facts of its machine."""

    events: list[RunEvent]
    definition: Mapping[str, Any]
    machine: dict[str, str]

    @property
    def started(self) -> RunStarted:
        """The first event of its first attempt."""
        return next(event for event in self.events if isinstance(event, RunStarted))


def published_run(folder: Path, run: str) -> Published:
    """Reads a packed run. Raises ConfigError with the names of the known runs."""
    _existing(folder)
    words = run.split("/")
    place = folder / RECORDS / words[0]
    if len(words) == 3 and words[1].isdigit() and words[2].isdigit():
        found = packed_records.run_folder(place, int(words[1]), int(words[2]))
        if (found / f"{packed_records.EVENTS}.xz").is_file():
            study = fold_records(study_events(packed_records.read(place / f"{packed_records.STUDY}.xz")))
            machine = json.loads((found / packed_records.MACHINE).read_text(encoding="utf-8"))
            return Published(
                run_events(packed_records.read(found / f"{packed_records.EVENTS}.xz")), study.definition.tree, machine
            )
    there = sorted(path.parent for path in (folder / RECORDS).glob(f"*/trials/*/seed-*/{packed_records.EVENTS}.xz"))
    names = [f"{path.parts[-4]}/{int(path.parts[-2])}/{path.name.removeprefix('seed-')}" for path in there]
    allowed = ", ".join(names[:3]) + (f", ... ({len(names)} runs)" if len(names) > 3 else "")
    raise ConfigError(Problem("no such run", ("--retrain",), allowed=f"STUDY/TRIAL/SEED: {allowed}", given=run))


def compared(
    recorded: Published, events: Sequence[RunEvent], instruction_set: str, until: int | None = None
) -> list[Check]:
    """Compares the recorded run with the new one, number by number; up to step `until` when the new run ended there."""
    before, now = ([_numbers_of(event) for event in surviving(each)] for each in (recorded.events, events))
    before, now = ([each for each in which if each[2]] for which in (before, now))
    if until is not None:  # a pause validates, and the recorded run may not have validated at that step
        before = [each for each in before if each[1] <= until]
        there = {each[:2] for each in before}
        now = [each for each in now if each[:2] in there]
        if not before:
            raise ConfigError(Problem("the record has no numbers up to that step", ("--until",), given=str(until)))
    apart = next((pair for pair in zip(before, now, strict=False) if pair[0] != pair[1]), None)
    equal = apart is None and len(before) == len(now)
    others = _conditions(recorded, events, instruction_set)
    if equal:
        return [Check("bits", True, f"{sum(len(each[2]) for each in now)} numbers, all equal bit for bit")]
    where = f"first at step {apart[0][1]}" if apart else f"{len(before)} events recorded, {len(now)} found"
    if not others:
        return [Check("bits", False, f"differ ({where}) on the same commit, torch, instruction set and threads")]
    name = "test/loss" if until is None else "train/loss"
    losses = [_last(which, name) for which in (before, now)]
    if None in losses:
        return [Check(name, losses[0] == losses[1], f"recorded {losses[0]}, found {losses[1]}")]
    distance = abs(losses[0] - losses[1])
    seen = f"{distance:.2g} nats apart (allowed: {TOLERANCE}); bits differ, as {', '.join(others)}"
    return [Check(name, distance <= TOLERANCE, seen)]


def _conditions(recorded: Published, events: Sequence[RunEvent], instruction_set: str) -> list[str]:
    """Returns a text for each condition for equal bits that differs from the record."""
    one, other = recorded.started.provenance or {}, last_start(events).provenance or {}
    pairs = [
        ("commit", one["commit"], other["commit"]),
        ("torch", one["versions"]["torch"], other["versions"]["torch"]),
        ("instruction set", recorded.machine["instruction_set"], instruction_set),
        ("threads", one["threads"], other["threads"]),
    ]
    return [f"{name} is {new} (recorded: {old})" for name, old, new in pairs if old != new]


def _numbers_of(event: RunEvent) -> tuple[str, int, dict[str, Any]]:
    """Returns the event's kind, step and metrics, without measurements of a clock."""
    return event.NAME, event.step, dict(metrics_of(event))


def _last(events: Sequence[tuple[str, int, dict[str, Any]]], name: str) -> Any:
    return next((metrics[name] for _, _, metrics in reversed(events) if name in metrics), None)


def _existing(folder: Path) -> None:
    for name in ("results.py", RECORDS):
        if not (folder / name).exists():
            text = "no folder of published results, with results.py and records/"
            raise ConfigError(Problem(text, given=str(folder)))


def _compute(folder: Path, out: Path) -> None:
    folder = folder.absolute()
    _run([sys.executable, "-m", f"{folder.name}.results", "--out", str(out)], folder.parent)


def _run(command: Sequence[str], folder: Path | None) -> None:
    """Runs a command to its end. Raises StudyError with the last line of its output."""
    done = subprocess.run(command, cwd=folder, env=dict(os.environ), capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise StudyError(f"{' '.join(command[:4])} ...: {said}")


def _numbers(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StudyError(f"{path}: {error}") from error


def _count(value: Any) -> int:
    if isinstance(value, dict | list):
        return sum(_count(each) for each in (value.values() if isinstance(value, dict) else value))
    return 1


def _first_difference(published: Sequence[str], found: Sequence[str]) -> str:
    for number, (one, other) in enumerate(zip(published, found, strict=False), start=1):
        if one != other:
            return f"line {number}: published {one!r}, found {other!r}"
    if len(published) != len(found):
        return f"{len(published)} lines published, {len(found)} found"
    return f"{len(found)} lines, all equal"


def _instruction_set() -> str:
    import torch  # heavy; needed only for training again

    return torch.backends.cpu.get_cpu_capability()
