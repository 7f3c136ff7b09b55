"""Measures the structure of the package: `python tools/house_figures.py [FOLDER_OR_REVISION ...]`, one column for each;
by default this tree.

Sizes, names, imports, docstrings and reads of records come from the syntax trees of `pld_search/`. The number of files
that run before the first launch is measured: the demo study runs in a process that ends when it would start a run.
"""

from __future__ import annotations

import argparse
import ast
import os
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = "pld_search"
SMALL = 40  # lines
MANY = 8  # parameters
# events of study.jsonl and events.jsonl, and names under which folded events are passed on
EVENTS = frozenset(
    {"asked", "told", "started", "created", "prepared", "rejected", "session", "launched", "exited", "promoted"}
    | {"predicted", "recommended", "explained", "tuned", "event", "record", "final", "finished", "definition"}
)
# rooms in which such a name means something else: `spaces` owns the definition of a study, which events only carry;
# in `schedules` it is a definition of a JSON schema
NO_EVENT_IN = {"definition": frozenset({"spaces", "schedules"})}
FIRST_LAUNCH = f"""
import os, sys
def seen(event, values):
    words = list(map(str, values[1] or ())) if event == "subprocess.Popen" else []
    if any(word == "train" or word.endswith(".warm_worker") for word in words):
        files = [name for name, module in list(sys.modules.items())
                 if name.split(".")[0] == "{PACKAGE}" and getattr(module, "__file__", None)]
        os.write(int(os.environ["ANSWER"]), str(len(files)).encode())
        os._exit(0)
sys.addaudithook(seen)
from {PACKAGE}.cli.main import app
app(["run", "demo", "--slots", "1", "--device", "cpu"])
"""

Function = ast.FunctionDef | ast.AsyncFunctionDef


class House:
    """The syntax trees of a package's folder, without shipped data."""

    def __init__(self, folder: Path) -> None:
        paths = [path for path in sorted(folder.rglob("*.py")) if "_shipped" not in path.parts]
        self.texts = {path.relative_to(folder): path.read_text(encoding="utf-8") for path in paths}
        self.trees = {path: ast.parse(text) for path, text in self.texts.items()}

    @property
    def named(self) -> list[Path]:
        """Every module except `__init__`."""
        return [path for path in self.texts if path.stem != "__init__"]

    def functions(self) -> Iterator[Function]:
        """Yields every function and method."""
        for tree in self.trees.values():
            yield from (node for node in ast.walk(tree) if isinstance(node, Function))

    def classes(self) -> Iterator[str]:
        """Yields the name of every class."""
        for tree in self.trees.values():
            yield from (node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def small(house: House) -> int:
    """Returns the number of modules with fewer than 40 lines."""
    return sum(text.count("\n") < SMALL for text in house.texts.values())


def shared_basenames(house: House) -> int:
    """Returns the number of modules, except `__init__`, that share their basename with another module."""
    counts = Counter(path.stem for path in house.named)
    return sum(counts[path.stem] > 1 for path in house.named)


def shared_classes(house: House) -> int:
    """Returns the number of class names that several classes have."""
    return sum(count > 1 for count in Counter(house.classes()).values())


def late_imports(house: House) -> int:
    """Returns the number of imports of the package's own modules inside functions."""
    found = 0
    for tree in house.trees.values():
        lines = {
            node.lineno
            for function in ast.walk(tree)
            if isinstance(function, Function)
            for node in ast.walk(function)
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE
        }
        found += len(lines)
    return found


def key_reads(house: House) -> int:
    """Counts reads of an event by a string key outside records/: `trial.asked["steps"]`, `record.started.get("time")`.

    An event is recognised by its name (EVENTS), so the count is an estimate: it misses a read through another name.
    """
    found = 0
    for path, tree in house.trees.items():
        room = path.parts[0]
        if room != "records":
            names = frozenset(name for name in EVENTS if room not in NO_EVENT_IN.get(name, ()))
            found += sum(_reads_event(node, names) for node in ast.walk(tree))
    return found


def _reads_event(node: ast.AST, names: frozenset[str]) -> bool:
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        return _is_field(node.slice) and _is_event(node.value, names)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args:
        return _is_field(node.args[0]) and _is_event(node.func.value, names)
    return False


def _is_field(node: ast.AST) -> bool:
    """Whether a key may be a field of an event. A name with a slash is a metric: `final["progress/tflop"]` reads a
    table of metrics, whose keys are data.
    """
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and "/" not in node.value


def _is_event(node: ast.AST, names: frozenset[str]) -> bool:
    """Recognises `asked`, `trial.asked`, `(record.created or {})`, and a value in one: `asked["experiment"]`."""
    if isinstance(node, ast.BoolOp):
        return any(_is_event(value, names) for value in node.values)
    if isinstance(node, ast.Subscript):
        return _is_event(node.value, names)
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name in names


def longest_function(house: House) -> int:
    """Returns the number of lines of the longest function."""
    return max((node.end_lineno or node.lineno) - node.lineno + 1 for node in house.functions())


def many_parameters(house: House) -> int:
    """Counts functions with more than 8 parameters, without `self`, `cls` and overloads. Options of verbs count."""
    return sum(_parameters(node) > MANY and not _is_overload(node) for node in house.functions())


def _parameters(node: Function) -> int:
    names = [each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return sum(name not in ("self", "cls") for name in names)


def undocumented(house: House) -> int:
    """Counts public functions, and public methods of public classes, without a docstring. Overloads share their
    function's docstring and do not count.
    """
    found = 0
    for tree in house.trees.values():
        scopes: list[ast.Module | ast.ClassDef] = [tree]
        scopes += [node for node in tree.body if isinstance(node, ast.ClassDef) and _is_public(node)]
        members = [node for scope in scopes for node in scope.body if isinstance(node, Function) and _is_public(node)]
        found += sum(ast.get_docstring(node) is None and not _is_overload(node) for node in members)
    return found


def _is_overload(node: Function) -> bool:
    return any(isinstance(each, ast.Name) and each.id == "overload" for each in node.decorator_list)


def _is_public(node: Function | ast.ClassDef) -> bool:
    return not node.name.startswith("_")


def before_the_first_launch(folder: Path) -> int:
    """Returns the number of the package's files that have run when the demo starts its first run. Raises
    RuntimeError.
    """
    reading, writing = os.pipe()
    environment = {**os.environ, "PYTHONPATH": str(folder), "ANSWER": str(writing), "PLD_SEARCH_STEPS": "20"}
    with tempfile.TemporaryDirectory() as place, os.fdopen(reading) as answer:
        (Path(place) / "machine.yaml").write_text("cache: ./cache\nruns: ./runs\n", encoding="utf-8")
        command = [sys.executable, "-c", FIRST_LAUNCH]
        done = subprocess.run(command, cwd=place, env=environment, pass_fds=[writing], capture_output=True, text=True)
        os.close(writing)
        found = answer.read()
    if not found:
        raise RuntimeError(f"{folder}: no run was launched: {done.stderr.strip()[-300:]}")
    return int(found)


FIGURES: dict[str, Callable[[House], int]] = {
    "modules": lambda house: len(house.texts),
    f"modules under {SMALL} lines": small,
    "modules that share a basename": shared_basenames,
    "class names used twice or more": shared_classes,
    "imports of our own inside functions": late_imports,
    "reads of an event by a string key outside records/ (estimate)": key_reads,
    "lines of the longest function": longest_function,
    f"functions of more than {MANY} parameters": many_parameters,
    "public functions without a docstring": undocumented,
}
LAUNCH = "files run before the first launch of the demo"


def figures(folder: Path, *, launch: bool) -> dict[str, int]:
    """Returns every figure of the package in a folder; with `launch` the demo is started there, which takes a while."""
    house = House(folder / PACKAGE)
    found = {name: measure(house) for name, measure in FIGURES.items()}
    return found | ({LAUNCH: before_the_first_launch(folder)} if launch else {})


def checked_out(source: str, place: Path) -> Path:
    """Returns the folder `source`, or the tree of that revision unpacked in `place`."""
    if (Path(source) / PACKAGE).is_dir():
        return Path(source).resolve()
    packed = subprocess.run(["git", "-C", str(ROOT), "archive", source], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        archive.extractall(place, filter="data")
    return place


def main(words: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Measure the house.")
    parser.add_argument("sources", nargs="*", default=[str(ROOT)], metavar="FOLDER_OR_REVISION")
    parser.add_argument("--no-launch", action="store_true", help="leave out the demo, which prepares its data first")
    asked = parser.parse_args(words)
    with ExitStack() as stack:
        columns = [
            figures(
                checked_out(source, Path(stack.enter_context(tempfile.TemporaryDirectory()))),
                launch=not asked.no_launch,
            )
            for source in asked.sources
        ]
    width = max(map(len, columns[0]))
    for row in columns[0]:
        sys.stdout.write(f"{row:<{width}}" + "".join(f"{column[row]:>10,}" for column in columns) + "\n")


if __name__ == "__main__":
    main()
