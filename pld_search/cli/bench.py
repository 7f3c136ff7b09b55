"""`bench`: training speed on this machine, compared with a user's alternatives and timed in turns."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer

from pld_search.app.machine_setup import machine_of
from pld_search.cli.options import Device, Json, MachineFile, Threads
from pld_search.cli.output import emit, say
from pld_search.errors import ConfigError, Problem
from pld_search.host.disk import write_atomically


class ShapeName(StrEnum):
    tiny = "tiny"
    small = "small"
    base = "base"
    large = "large"


class Compile(StrEnum):
    off = "off"
    on = "on"
    both = "both"


class PrecisionName(StrEnum):
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


Word = TypeVar("Word", Literal["auto"], Literal["blocks"])
_COMPILED = {Compile.off: (False,), Compile.on: (True,), Compile.both: (False, True)}

ShapeOption = Annotated[
    ShapeName, typer.Option("--shape", help="tiny 6 x 96, small 12 x 256, base 12 x 768, large 24 x 1024.")
]
Length = Annotated[int, typer.Option("--length", metavar="N", min=8, help="Positions of a sequence.")]
Precision = Annotated[PrecisionName | None, typer.Option("--precision", help="fp32 on a CPU, fp16 on CUDA.")]
Schedules = Annotated[
    list[str] | None,
    typer.Option(
        "--schedule", metavar="NAME", help="Time this schedule too, from the middle of its run; may be repeated."
    ),
]
Against = Annotated[
    bool, typer.Option("--trainer/--no-trainer", help="Time transformers' Trainer with BertForMaskedLM as well.")
]
Compiled = Annotated[Compile, typer.Option("--compile", help="Time eager code, compiled code, or both.")]
Sequences = Annotated[int | None, typer.Option("--sequences", metavar="N", min=1, help="Sequences of a step.")]
MicroBatch = Annotated[
    str | None,
    typer.Option("--micro-batch", metavar="N|auto", help="Sequences of one forward pass; auto: as many as fit."),
]
Recomputed = Annotated[
    list[str] | None,
    typer.Option(
        "--activation-checkpointing",
        metavar="blocks|K",
        help=("Also time recomputed activations, of all blocks or of every K-th; may be repeated."),
    ),
]
Deterministic = Annotated[bool, typer.Option("--deterministic/--any-kernel", help="Deterministic kernels only.")]
Dropout = Annotated[
    float,
    typer.Option(
        "--dropout", metavar="SHARE", min=0.0, max=0.9, help="Dropout of hidden states and attention weights."
    ),
]
Rounds = Annotated[int, typer.Option("--rounds", metavar="N", min=1, help="Number of turns of every candidate.")]
Burst = Annotated[int, typer.Option("--burst", metavar="N", min=1, help="Steps of one turn.")]
LossSteps = Annotated[
    int,
    typer.Option(
        "--loss-steps", metavar="N", min=0, max=64, help="Steps over which losses are compared; 0: no comparison."
    ),
]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the raw figures to this file, as JSON.")]


def bench(
    shape: ShapeOption = ShapeName.tiny,
    length: Length = 128,
    precision: Precision = None,
    schedule: Schedules = None,
    trainer: Against = True,
    compile: Compiled = Compile.off,
    sequences: Sequences = None,
    micro_batch: MicroBatch = None,
    activation_checkpointing: Recomputed = None,
    deterministic: Deterministic = False,
    dropout: Dropout = 0.1,
    rounds: Rounds = 10,
    burst: Burst = 5,
    loss_steps: LossSteps = 20,
    out: Out = None,
    device: Device = None,
    threads: Threads = None,
    machine: MachineFile = None,
    json: Json = False,
) -> None:
    """Time training steps on this machine.

    Full depth, schedules, and transformers' Trainer, in turns.
    Ratios are of turns taken side by side; warm-up and compilation are apart.
    """
    # torch loads only after the arguments were checked
    from pld_search.bench.quiet import quiet
    from pld_search.bench.suite import BenchRequest, measure
    from pld_search.bench.terminal_tables import show

    found = machine_of(machine, threads=threads, device=device)
    on = _device(found.device)
    request = BenchRequest(
        shape=shape.value,
        length=length,
        precision=precision.value if precision else ("fp32" if on == "cpu" else "fp16"),
        device=on,
        threads=found.threads,
        schedules=tuple(schedule or ["pld"]),
        trainer=trainer and _trainer_is_there(),
        compile=_COMPILED[compile],
        sequences=sequences,
        micro_batch=None if micro_batch is None else _word_or_number("--micro-batch", micro_batch, "auto", 1),
        activation_checkpointing=tuple(
            _word_or_number("--activation-checkpointing", each, "blocks", 2) for each in activation_checkpointing or ()
        ),
        deterministic=deterministic,
        dropout=dropout,
        rounds=rounds,
        burst=burst,
        loss_steps=loss_steps,
    )
    with quiet(tell=lambda text: say(text, aside=True)):
        result = measure(request, Path(found.cache), lambda text: say(text, aside=True))
    if out is not None:
        write_atomically(out, result.model_dump_json(indent=1) + "\n")
    if json:
        emit(result.model_dump(mode="json"))
    else:
        show(request, result)


def _word_or_number(option: str, given: str, word: Word, least: int) -> Word | int:
    """Parses an option that takes a word or a number. Raises ConfigError for any other text."""
    if given == word:
        return word
    if given.isascii() and given.isdigit() and int(given) >= least:
        return int(given)
    raise ConfigError(
        Problem("neither the word nor a number", (option,), allowed=f"{word} | {least} or more", given=given)
    )


def _device(stated: str) -> str:
    import torch

    return ("cuda" if torch.cuda.is_available() else "cpu") if stated == "auto" else stated


def _trainer_is_there() -> bool:
    """Returns True when transformers' Trainer can run, else raises ConfigError: a silent omission would favour this
    package.
    """
    from importlib.util import find_spec

    if find_spec("accelerate") is None:
        raise ConfigError(
            Problem(
                "transformers' Trainer needs the package accelerate", allowed="pip install accelerate, or --no-trainer"
            )
        )
    return True
