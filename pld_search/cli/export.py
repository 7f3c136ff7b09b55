"""`export RUN|STUDY|CHECKPOINT --out DIR`: writes a plain model of transformers, with all or fewer layers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pld_search.app.machine_setup import machine_of
from pld_search.app.study_folders import RECORDS, study_folder
from pld_search.app.winner_files import winning_run_in
from pld_search.cli.options import Json, MachineFile, Runs
from pld_search.cli.output import emit, say
from pld_search.host.disk import expanded

Source = Annotated[
    str,
    typer.Argument(
        metavar="RUN|STUDY|CHECKPOINT",
        help="A run's folder (its newest checkpoint), a study (the winner's first run), or a checkpoint's folder.",
    ),
]
Out = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="The folder to write; it must not exist yet, or be empty.")
]
Kept = Annotated[
    str | None,
    typer.Option(
        "--layers", metavar="N|A,B,...", help="Keep N evenly spaced layers, or the listed layers, counted from 1."
    ),
]
TokenizerPlace = Annotated[
    Path | None,
    typer.Option("--tokenizer", metavar="DIR", help="The tokenizer, if the run's corpus is not on this machine."),
]


def export(
    source: Source,
    out: Out,
    layers: Kept = None,
    tokenizer: TokenizerPlace = None,
    json: Json = False,
    runs: Runs = None,
    machine: MachineFile = None,
) -> None:
    """Write a checkpoint as a plain BERT of transformers.

    With its tokenizer and a model card; what cannot be expressed there is refused. With --layers, a subnetwork and what
    it loses.
    """
    from pld_search.app.export_checkpoint import exported  # torch loads only after the arguments were checked

    found = exported(_place(source, Path(machine_of(machine, runs=runs).runs), json), out, layers, tokenizer)
    say(f"{found.architecture} in {out}; logits within {found.difference:.1g} of the checkpoint's", aside=json)
    if found.kept is not None:
        say(
            f"layer{'s' if len(found.kept) > 1 else ''} {', '.join(map(str, found.kept))} of {found.layers} kept",
            aside=json,
        )
    if found.losses is not None:
        whole, part = found.losses
        say(
            f"validation loss {whole:.4f} with {found.layers} layers, {part:.4f} with "
            f"{len(found.kept or ())}: {part - whole:+.4f} nats",
            aside=json,
        )
    for note in found.notes:
        say(note, aside=json)
    if json:
        emit(found.as_json(out))


def _place(source: str, runs: Path, aside: bool) -> Path:
    """Returns the folder to export. For a study, given by name or folder, this is the winner's first run; prints it."""
    place = expanded(source)
    is_study = (runs / source / RECORDS).is_file() or (place / RECORDS).is_file()
    if not is_study and (place.is_dir() or len(place.parts) > 1):
        return place
    run = winning_run_in(study_folder(source, runs))
    say(f"the winner's run: {run}", aside=aside)
    return run
