"""`train EXPERIMENT --out DIR`: trains one run, a part of it, or a branch of it; a launcher starts this verb."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pld_search.app.run_files import execution_beside, experiment_in, write_run
from pld_search.cli.options import Json
from pld_search.cli.output import emit, say
from pld_search.cli.ranks import launched_module, place
from pld_search.errors import ConfigError, Problem
from pld_search.host.hardware import fast_bf16
from pld_search.records.run_record import RunRecord
from pld_search.specs.experiment import Experiment

ExperimentFile = Annotated[
    Path, typer.Argument(metavar="EXPERIMENT", help="An experiment.yaml; execution.yaml lies beside it.")
]
Out = Annotated[
    Path,
    typer.Option("--out", metavar="DIR", help="The folder of events and checkpoints; a run in it is continued."),
]
Until = Annotated[
    int | None,
    typer.Option(
        "--until", metavar="STEP", min=1, help="Pause after this number of completed steps; the same command goes on."
    ),
]
Branch = Annotated[
    int | None,
    typer.Option(
        "--branch",
        metavar="STEP",
        min=1,
        help="Decay a copy of the run in DIR from its pause at STEP to rank it; its events: DIR/branches/STEP.",
    ),
]


Ranks = Annotated[
    int | None,
    typer.Option(
        "--ranks",
        metavar="K",
        min=1,
        help=("Number of processes on this machine that share the run, each with a GPU, by the run's mode."),
    ),
]


def train(
    experiment: ExperimentFile,
    out: Out,
    until: Until = None,
    branch: Branch = None,
    ranks: Ranks = None,
    json: Json = False,
) -> None:
    """Run one experiment to its end, or continue it.

    Under torchrun it is one of the ranks.
    A run that diverged has a result: exit 0; so does one that paused as asked. 130 or 143 after a signal and a
    checkpoint.
    """
    here = place()
    if ranks is not None and here is None:
        words = [*_said("--until", until), *_said("--branch", branch), *(["--json"] if json else [])]
        raise typer.Exit(launched_module(ranks, "pld_search", "train", str(experiment), "--out", str(out), *words))
    if until is not None and branch is not None:
        raise ConfigError(
            Problem("a branch runs to its own end", ("until",), allowed="--until or --branch", given="both")
        )

    what = experiment_in(experiment)
    how = execution_beside(experiment)
    if what.precision == "bf16" and how.device == "cpu" and fast_bf16() is False and not (here and here.rank):
        say("this processor has no bf16 arithmetic: bf16 is emulated, and slower than fp32", aside=True)
    # torch loads only after the arguments and files were checked
    from pld_search.training.branch import branch as run_branch
    from pld_search.training.parallel.rank_group import open_ranks
    from pld_search.training.train_run import train as run

    with open_ranks(here, how) as opened:
        if branch is None:
            opened.first_does(lambda: write_run(out, what, how))
        record = (
            run(what, how, out, until=until, ranks=opened)
            if branch is None
            else run_branch(what, how, out, branch, ranks=opened)
        )
    if here is not None and here.rank:
        return
    if json:
        emit(_described(record, what))
    say(_end_text(record, what, branch), aside=json)


def _described(record: RunRecord, what: Experiment) -> dict[str, Any]:
    """Returns the end of the run as JSON values."""
    ended = {"state": record.state, "step": record.step, "steps": what.steps}
    return {**ended, "digest": what.digest, "seed": what.seed, **record.final}


def _end_text(record: RunRecord, what: Experiment, branch: int | None) -> str:
    """Formats the end of the run as one line."""
    known = [name for name in ("valid/loss", "test/loss") if name in record.final]
    losses = ", ".join(f"{name} {record.final[name]:.4f}" for name in known)
    name = "" if branch is None else f"branch at step {branch:,}: "
    ending = f": {record.reason}" if record.reason else f": {losses}" if losses else ""
    return f"{name}{record.state} at step {record.step:,} of {what.steps:,}{ending}"


def _said(option: str, value: int | None) -> list[str]:
    return [] if value is None else [option, str(value)]
