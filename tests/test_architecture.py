"""The arrows of the design: who may import whom, what the pure rooms never load, and no import circle anywhere."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from pld_search.by_name import by_name
from pld_search.cli.main import VERBS
from tests.tested_elsewhere import TESTED_ELSEWHERE

PACKAGE = Path(__file__).parent.parent / "pld_search"

BOTTOM = {"errors", "frozen", "by_name", "host"}
BY_NAME = re.compile(r"pld_search(\.\w+)+:\w+")
PURE = {"statistics", "schedules", "specs", "costs", "spaces", "records"}
SHARED = BOTTOM | {"schedules", "specs", "costs"}
READERS = SHARED | {"statistics", "spaces", "records", "model", "data", "pretraining", "training"}
# room -> the rooms it may import, besides itself; siblings (spaces | model | data, analysis | search | tracking |
# report) never meet
ARROWS: dict[str, set[str]] = {
    "errors": set(),
    "frozen": {"errors"},
    "by_name": set(),
    "host": {"errors"},
    "statistics": {"errors", "frozen"},
    "schedules": BOTTOM,
    "specs": BOTTOM | {"schedules"},
    "costs": BOTTOM | {"schedules", "specs"},
    "records": BOTTOM | {"schedules", "specs"},
    "spaces": SHARED,
    "model": SHARED,
    "data": SHARED,
    "pretraining": SHARED | {"model", "data"},
    "analysis": SHARED | {"records", "model", "data", "pretraining"},
    "training": SHARED | {"records", "model", "data", "pretraining", "analysis"},
    "hf": SHARED | {"model"},
    "compat": BOTTOM | {"schedules"},
    "search": READERS,
    "tracking": READERS,
    "report": READERS,
    "bench": SHARED | {"model", "data", "pretraining", "training"},
    "app": READERS | {"analysis", "search", "tracking", "report", "bench"},
    "cli": READERS | {"search", "tracking", "report", "bench", "app"},
    "__main__": {"cli"},
    "api": READERS | {"search", "tracking", "report", "app"},
}
HEAVY = {"torch", "transformers", "optuna", "mlflow", "datasets"}
# the only homes of a library
HOMES = {
    "optuna": {"search"},
    "ray": {"search"},
    "sklearn": set(),
    "sqlalchemy": {"search"},
    "mlflow": {"tracking"},
    "datasets": {"data"},
    "tokenizers": {"data"},
    "zstandard": {"data"},
    "matplotlib": {"report"},
    "pandas": {"api"},
    "yaml": {"specs"},
    "filelock": {"host"},
    "typer": {"cli"},
}


def modules() -> dict[str, Path]:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        if "_shipped" in path.parts:
            continue
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Every absolute name a file imports, at its top, inside a function, or by its name (by_name.py)."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and BY_NAME.fullmatch(node.value):
            names.append(node.value.replace(":", "."))
    return tuple(names)


def module_named(name: str) -> str | None:
    """The module a dotted name lives in: `pld_search.a.b.Name` -> `pld_search.a.b`."""
    while name:
        if name in MODULES:
            return name
        name = name.rpartition(".")[0]
    return None


def test_there_is_something_to_hold() -> None:
    assert len(MODULES) > 20
    assert {room_of(module) for module in MODULES} - {""} <= set(ARROWS)


def test_what_is_loaded_by_name_is_there() -> None:
    found = [
        node.value
        for path in MODULES.values()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and BY_NAME.fullmatch(node.value)
    ]
    assert len(found) >= 5
    assert all(callable(by_name(name)) for name in found)


@pytest.mark.parametrize("room", sorted(ARROWS))
def test_a_room_imports_only_what_the_arrows_allow(room: str) -> None:
    allowed = ARROWS[room] | {room}
    wrong = []
    for module, path in MODULES.items():
        if room_of(module) == room:
            for name in imports(path):
                target = module_named(name) if name.startswith("pld_search") else None
                if target and room_of(target) and room_of(target) not in allowed:
                    wrong.append(f"{module} imports {target}")
    assert not wrong


@pytest.mark.parametrize("library", sorted(HOMES))
def test_a_library_has_one_home(library: str) -> None:
    homes = {
        room_of(module) for module, path in MODULES.items() for name in imports(path) if name.split(".")[0] == library
    }
    assert homes == HOMES[library]


def test_optuna_stays_behind_its_protocol() -> None:
    """Only search/open_backend.py and `ui --optuna` name it; the rest of the search talks to search/sampling.py."""
    home = "pld_search.search.optuna"
    users = {
        module
        for module, path in MODULES.items()
        for name in imports(path)
        if not module.startswith(home) and (name.startswith(home) or name.split(".")[0] == "optuna")
    }
    assert users == {"pld_search.search.open_backend", "pld_search.cli.ui"}


def test_no_import_circles_not_even_inside_functions() -> None:
    graph = {
        module: {
            target for name in imports(path) if (target := module_named(name)) and target not in (module, "pld_search")
        }
        for module, path in MODULES.items()
    }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join([*trail[trail.index(module) :], module])
        if module not in done:
            for target in sorted(graph[module]):
                visit(target, (*trail, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())
    assert len(done) == len(MODULES)


def test_a_class_name_stands_once_in_the_package() -> None:
    homes: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(module)
    assert len(homes) > 100
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


def loaded_after_importing(rooms: set[str]) -> set[str]:
    """Which heavy libraries a fresh process holds after it imported every module of the rooms."""
    wanted = sorted(module for module in MODULES if room_of(module) in rooms)
    assert wanted
    code = f"import importlib, sys\nfor name in {wanted!r}: importlib.import_module(name)\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return HEAVY & set(done.stdout.split())


def test_pure_rooms_never_load_torch() -> None:
    assert loaded_after_importing(BOTTOM | PURE | {"compat"}) == set()


def test_training_loads_neither_optuna_nor_mlflow_nor_datasets() -> None:
    assert loaded_after_importing({"training"}) & {"optuna", "mlflow", "datasets"} == set()


def test_readers_of_records_do_not_load_torch() -> None:
    assert "torch" not in loaded_after_importing({"report"})


def test_the_command_line_loads_only_optuna_of_what_is_heavy() -> None:
    """`plan` and `run` sample; everything else that is heavy waits until words and files are right."""
    assert loaded_after_importing({"cli", "api"}) <= {"optuna"}


def own_imports_inside_functions(path: Path) -> list[int]:
    """The lines on which a function imports a module of ours."""
    lines = set()
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pld_search"):
                    lines.add(node.lineno)
    return sorted(lines)


def test_own_imports_stand_at_the_top_or_say_why_not() -> None:
    """At most 30 in the package; the reason is a comment on the line, or above the lines that share it."""
    found = {module: own_imports_inside_functions(path) for module, path in MODULES.items()}
    assert sum(map(len, found.values())) <= 30
    silent = []
    for module, numbers in found.items():
        lines = MODULES[module].read_text().splitlines()
        for number in numbers:
            first = number
            while first - 1 in numbers:
                first -= 1
            if "  # " not in lines[number - 1] and not lines[first - 2].lstrip().startswith("# "):
                silent.append(f"{module}:{number}")
    assert silent == []


def test_the_longest_test_files_are_there() -> None:
    from tests.conftest import LONGEST

    assert [name for name in LONGEST if not (Path(__file__).parent / name).is_file()] == []


TESTS = PACKAGE.parent / "tests"


@cache
def without_a_namesake() -> set[str]:
    """`room.module` of every module that has no tests/ROOM/.../test_MODULE.py."""
    rooms = {(path.relative_to(TESTS).parts[0], path.stem.removeprefix("test_")) for path in TESTS.rglob("test_*.py")}
    at_the_top = {path.stem.removeprefix("test_") for path in TESTS.glob("test_*.py")}
    found = set()
    for module, path in MODULES.items():
        room, named = room_of(module), path.stem not in ("__init__", "__main__")
        has = (room, path.stem) in rooms or (module.count(".") == 1 and path.stem in at_the_top)
        if named and not has:
            found.add(module.removeprefix("pld_search."))
    return found


def entry_for(module: str) -> str | None:
    """The line of the table that speaks of a module: the longest that fits."""
    fits = [name for name in TESTED_ELSEWHERE if name == module or (name[-1] in "._" and module.startswith(name))]
    return max(fits, key=len, default=None)


def test_every_module_has_a_namesake_among_the_tests_or_a_line() -> None:
    missing, entries = [], set()
    for module in without_a_namesake():
        entry = entry_for(module)
        entries.add(entry)
        if entry is None:
            missing.append(module)
    assert not missing, "neither tests/ROOM/test_MODULE.py nor a line in tests/tested_elsewhere.py"
    rooms = {f"{room}." for room in ARROWS}
    assert set(TESTED_ELSEWHERE) - entries <= rooms, "lines that no module needs"


@pytest.mark.parametrize("entry", TESTED_ELSEWHERE)
def test_the_tests_of_a_line_reach_its_modules(entry: str) -> None:
    """By imports; what is loaded by name, verbs and processes of their own included."""
    reached = reached_from([TESTS / name for name in TESTED_ELSEWHERE[entry].split()])
    modules = [f"pld_search.{module}" for module in without_a_namesake() if entry_for(module) == entry]
    assert [module for module in modules if module not in reached] == []


def reached_from(files: list[Path]) -> set[str]:
    """The modules of the package that tests import, with what these import; helpers of the tests are followed."""
    verbs = {f"pld_search.cli.{name}" for name in VERBS} | {module for module in MODULES if ".cli.schedule" in module}
    todo, seen, found = list(files), set[Path](), set[str]()
    while todo:
        file = todo.pop()
        if file in seen:
            continue
        seen.add(file)
        todo += [each for each in (file.parent / "conftest.py",) if each.is_file() and TESTS in file.parents]
        for name in imports(file) + started(file):
            if name.startswith("tests."):
                todo += helpers(name)
            elif (module := module_named(name)) is not None and module not in found:
                found.add(module)
                todo.append(MODULES[module])
                if module == "pld_search.cli.main":
                    todo += [MODULES[verb] for verb in verbs]
                    found |= verbs
    return found


@cache
def started(path: Path) -> tuple[str, ...]:
    """The modules that a file names as a text: what it starts as a process of its own."""
    constants = (node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
    return tuple(text for text in constants if isinstance(text, str) and text in MODULES and "." in text)


def helpers(name: str) -> list[Path]:
    """The file of the tests that a dotted name lives in."""
    places = [TESTS.parent.joinpath(*name.split(".")), TESTS.parent.joinpath(*name.split(".")[:-1])]
    return [path for place in places if (path := place.with_suffix(".py")).is_file()]
