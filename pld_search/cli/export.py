"""`export CHECKPOINT_OR_RUN --out DIR`: writes a plain model of transformers, with all or fewer layers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pld_search.cli.options import Json
from pld_search.cli.output import emit, say

Source = Annotated[
    Path, typer.Argument(metavar="CHECKPOINT_OR_RUN", help="A run's folder (its newest checkpoint), or a checkpoint's.")
]
Out = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="The folder to write; it must not exist yet, or be empty.")
]
Kept = Annotated[
    str | None,
    typer.Option("--layers", metavar="N|A,B,...", help="Keep N evenly spaced layers, or these, counted from 1."),
]
TokenizerPlace = Annotated[
    Path | None,
    typer.Option("--tokenizer", metavar="DIR", help="The tokenizer, where the run's corpus is not on this machine."),
]


def export(source: Source, out: Out, layers: Kept = None, tokenizer: TokenizerPlace = None, json: Json = False) -> None:
    """Write a checkpoint as a plain BERT of transformers.

    With its tokenizer and a model card; what cannot be expressed there is refused. With --layers, a subnetwork and what
    it loses.
    """
    from pld_search.app.export_checkpoint import exported  # torch loads only after the arguments were checked

    found = exported(source, out, layers, tokenizer)
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
