"""`pld-search`: the verbs, in the order a newcomer meets them."""

from __future__ import annotations

from typing import Annotated

import typer

from pld_search.cli import (
    bench,
    best,
    calibrate,
    demo,
    doctor,
    evaluate,
    export,
    init,
    mirror,
    plan,
    prepare,
    report,
    retry,
    run,
    schedule,
    schema,
    status,
    stop,
    train,
    ui,
    validate,
    verify,
)
from pld_search.cli.verb_group import PROGRAM, Verbs

app = typer.Typer(
    name=PROGRAM,
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Declare layer-drop schedules, search them, train the variants, and compare them at equal budget.",
)


def _version(wanted: bool) -> None:
    if wanted:
        from pld_search import __version__
        from pld_search.cli.output import say

        say(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error; may stand anywhere.")] = False,
) -> None:
    del version, debug  # acted on where they are read: _version, Verbs


app.command("demo")(demo.demo)
app.command("init")(init.init)
app.command("prepare")(prepare.prepare)
app.add_typer(schedule.app, name="schedule")
app.command("schema")(schema.schema)
app.command("validate")(validate.validate)
app.command("plan")(plan.plan)
app.command("calibrate")(calibrate.calibrate)
app.command("run")(run.run)
app.command("status")(status.status)
app.command("stop")(stop.stop)
app.command("retry")(retry.retry)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("export")(export.export)
app.command("report")(report.report)
app.command("best")(best.best)
app.command("mirror")(mirror.mirror)
app.command("verify")(verify.verify)
app.command("bench")(bench.bench)
app.command("ui")(ui.ui)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """The console script."""
    app()
