"""`pld-search`: the verbs, in the order in which a new user meets them."""

from __future__ import annotations

from typing import Annotated

import typer

import pld_search
from pld_search.cli.output import say
from pld_search.cli.verb_group import PROGRAM, LazyVerbs, Verb, Verbs

# name -> its line in the help, which is the first sentence of the verb's own help
VERBS = {
    "demo": "Run the demo study and compare its systems.",
    "init": "Write a commented study for your own files.",
    "prepare": "Prepare the data of a study.",
    "schema": "Print the JSON Schema of a schedule, study or machine file.",
    "validate": "Check a study file and sample its space.",
    "plan": "Show what a study would do; no run is started.",
    "calibrate": "Measure one experiment's architecture, alone on its slot.",
    "run": "Run a study, or continue one that exists.",
    "status": "Show the status of a study and of its runs.",
    "stop": "Stop a running study, after checkpoints.",
    "retry": "Run failed trials again.",
    "train": "Run one experiment to its end, or continue it.",
    "evaluate": "Score a checkpoint by its experiment's evaluation.",
    "analyze": "Measure layers: gradients, similarity of input and output, lesions.",
    "export": "Write a checkpoint as a plain BERT of transformers.",
    "report": "Compare a study's systems and write its report.",
    "best": "Print the winner of a study, for further use.",
    "mirror": "Rebuild MLflow's picture of a study from its files.",
    "verify": "Recompute published results, or train one of their runs again.",
    "bench": "Time training steps on this machine.",
    "ui": "Open the MLflow UI (it ends with Ctrl-C).",
    "doctor": "Check installation, machine and leftovers of killed runs.",
    "schedule": "Show, draw, compare, list, check and import schedules.",
}


class Root(Verbs, LazyVerbs):
    """The root of the command line: verb NAME is the function or group of that name in cli/NAME.py."""

    verbs = {name: Verb(f"pld_search.cli.{name}", name, about) for name, about in VERBS.items()}


app = typer.Typer(
    name=PROGRAM,
    cls=Root,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Declare layer-drop schedules, search them, train the variants, and compare them at equal budget.",
)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"{PROGRAM} {pld_search.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error; may stand anywhere.")] = False,
) -> None:
    del version, debug  # _version and Verbs act on them


def main() -> None:
    """Runs the console script."""
    app()
