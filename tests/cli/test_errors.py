from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from pld_search import errors
from pld_search.cli.verb_group import Verbs
from pld_search.errors import ConfigError, Position, Problem
from tests.cli.conftest import Call

PROBLEMS = [
    Problem("unknown key", ("optimizer", "ler"), Position("x.yaml", 3, 5), suggestion="lr"),
    Problem("too small", ("model", "layers"), Position("x.yaml", 9, 1)),
]


def run(error: BaseException, *words: str) -> tuple[int, str, str]:
    app = typer.Typer(cls=Verbs, pretty_exceptions_enable=False, rich_markup_mode=None)

    @app.callback()
    def root() -> None:
        pass

    @app.command("fail")
    def fail() -> None:
        raise error

    done = CliRunner().invoke(app, [*words])
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError(PROBLEMS), 2),
        (errors.DataError("x"), 2),
        (errors.StudyError("x"), 1),
        (errors.CheckpointError("x"), 1),
        (errors.NothingFeasible("x"), 3),
        (errors.Interrupted("x", 2), 130),
        (errors.Interrupted("x", 15), 143),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("x"), 1),
    ],
)
def test_exit_codes_and_no_traceback(error: BaseException, code: int) -> None:
    found, out, err = run(error, "fail")
    assert found == code
    assert out == ""
    assert err.startswith("pld-search: ")
    assert "Traceback" not in err


def test_one_line_a_problem() -> None:
    _, _, err = run(ConfigError(PROBLEMS), "fail")
    assert err.splitlines() == [
        "pld-search: x.yaml:3:5: optimizer.ler: unknown key; did you mean lr?",
        "pld-search: x.yaml:9:1: model.layers: too small",
    ]


@pytest.mark.parametrize("words", [("--debug", "fail"), ("fail", "--debug")])
def test_debug_shows_the_traceback_wherever_it_stands(words: tuple[str, ...]) -> None:
    code, _, err = run(errors.StudyError("broken"), *words)
    assert code == 1
    assert "Traceback" in err
    assert err.rstrip().endswith("pld-search: broken")


def test_the_unexpected_says_how_to_see_more() -> None:
    _, _, err = run(ZeroDivisionError("division by zero\nmore"), "fail")
    assert err == "pld-search: unexpected ZeroDivisionError: division by zero (--debug shows where)\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("plann",), "no such command 'plann'. Did you mean 'plan'? (pld-search --help)"),
        (("schedule", "shwo", "pld"), "no such command 'shwo'. Did you mean 'show'? (pld-search schedule --help)"),
        (("run",), "missing argument 'FILE' (pld-search run --help)"),
        (
            ("run", "--slot", "2", "demo"),
            "no such option: --slot (Possible options: --json, --set, --slots) (pld-search run --help)",
        ),
        (("--verison",), "no such option: --verison (Possible options: --version) (pld-search --help)"),
        (
            ("schema", "studie"),
            "invalid value for 'schedule|study|machine'; allowed: schedule | study | machine; given: studie; "
            "did you mean study? (pld-search schema --help)",
        ),
        (
            ("plan", "demo", "--slots", "0"),
            "invalid value for '--slots': it should be greater than or equal to 1 (pld-search plan --help)",
        ),
    ],
)
def test_wrong_words_are_one_line(call: Call, words: tuple[str, ...], said: str) -> None:
    done = call(*words)
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", f"pld-search: {said}\n")


def test_a_verb_without_its_verb_shows_the_help(call: Call) -> None:
    assert "Commands:" in call("schedule").output
