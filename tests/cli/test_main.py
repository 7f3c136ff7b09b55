from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import pld_search
from pld_search.cli.main import Root
from pld_search.cli.schedule import ScheduleVerbs
from pld_search.cli.verb_group import VerbTable
from tests.cli.conftest import Call

VERBS = (
    *(
        "demo",
        "init",
        "prepare",
        "schedule",
        "schema",
        "validate",
        "plan",
        "calibrate",
        "run",
        "status",
        "stop",
        "retry",
    ),
    *("train", "evaluate", "analyze", "export", "report", "best", "mirror", "verify", "bench", "ui", "doctor"),
)
HEAVY = {
    "torch",
    "transformers",
    "optuna",
    "mlflow",
    "datasets",
    "matplotlib",
    "pydantic",
    "numpy",
    "tokenizers",
    "rich",
}


def test_help_names_every_verb_and_loads_nothing_heavy() -> None:
    code = (
        "import json, sys\n"
        "from pld_search.cli.main import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "print(json.dumps(list(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stderr))
    assert "typer" in loaded
    assert not loaded & HEAVY
    for verb in VERBS:
        assert f"\n  {verb} " in done.stdout


def test_the_table_says_what_the_verbs_say() -> None:
    for verbs in (Root.verbs, ScheduleVerbs.verbs):
        for name, command in VerbTable(verbs).items():
            said = (command.help or "").splitlines()[0]
            assert said == verbs[name].about, name


def test_the_verbs_are_these() -> None:
    from pld_search.cli.main import app

    names = [
        re.match(r"  ([a-z]+) ", line)
        for line in CliRunner().invoke(app, ["--help"]).stdout.partition("Commands:")[2].splitlines()
    ]
    assert sorted(found[1] for found in names if found) == sorted(VERBS)


@pytest.mark.parametrize(
    ("words", "unused"),
    [
        (["schedule", "list"], {"numpy", "rich"}),
        (["schedule", "show", "pld"], {"optuna", "rich"}),
        (["validate", "demo", "--points", "1"], {"optuna", "rich", "sqlalchemy", "scipy"}),
        (["plan", "demo", "--device", "cpu"], set()),
        (["plan", "rebuttal", "--device", "cpu"], {"optuna", "sqlalchemy"}),
    ],
)
def test_what_a_verb_does_not_load(words: list[str], unused: set[str], tmp_path: Path) -> None:
    code = (
        f"import json, sys\nfrom pld_search.cli.main import app\ntry: app({words!r})\nexcept SystemExit as "
        "end: code = end.code\n"
        "print(json.dumps([code, list(sys.modules)]), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    exit_code, loaded = json.loads(done.stderr.splitlines()[-1])
    assert exit_code == 0
    assert not set(loaded) & ({"torch", "transformers", "mlflow", "datasets", "matplotlib", "tokenizers"} | unused)


def test_the_package_runs_as_a_module_and_says_its_version() -> None:
    done = subprocess.run([sys.executable, "-m", "pld_search", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"pld-search {pld_search.__version__}\n"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(call: Call, verb: str) -> None:
    done = call(verb, "--help")
    assert done.exit_code == 0
    assert "Usage:" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["report"],
        ["schedule", "show", "pld", "--layers", "0"],
        ["run", "x.yaml", "--slots", "many"],
        ["train", "--no-such"],
    ],
)
def test_usage_errors_exit_2_on_stderr(call: Call, words: list[str]) -> None:
    done = call(*words)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("pld-search: ") and done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
