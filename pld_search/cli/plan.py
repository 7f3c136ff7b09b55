"""`plan FILE`: a dry run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pld_search.cli.options import Device, Json, MachineFile, Runs, Sets, Slots, StudyFile, Threads
from pld_search.cli.output import emit, say


def plan(
    file: StudyFile,
    sets: Sets = None,
    slots: Slots = None,
    threads: Threads = None,
    device: Device = None,
    runs: Runs = None,
    machine: MachineFile = None,
    json: Json = False,
) -> None:
    """Show what a study would do; nothing is started.

    Systems and the first batch resolved, FLOPs, time where it is known, disk, and the commands. Nothing is prepared either.
    """
    from pld_search.cli.machine import machine_of
    from pld_search.cli.planning import planned
    from pld_search.cli.studies import study_of

    found = planned(study_of(file, sets), machine_of(machine, sets or (), slots=slots, threads=threads, device=device, runs=runs))
    if json:
        emit(found)
        return
    for text in told(found):
        say(text)


def told(found: dict[str, Any]) -> Iterator[str]:
    """The plan for people."""
    from pld_search.report.words import compact, duration

    threads = f"{found['threads']} thread{'s' if found['threads'] > 1 else ''}"
    yield f"{found['study']}: {found['runs']} runs in {found['folder']} ({'continues' if found['continues'] else 'new'})"
    yield f"{found['slots']} at once on {found['device']}, {threads} each; vocabulary taken as {found['vocabulary_assumed']:,} until the data are prepared"
    yield ""
    rows = [*found["systems"], *(row for row in (found["search"] or {}).get("first_batch", ()) if "problem" not in row)]
    widths = max(20, *(len(_name(row)) + 2 for row in rows)), max(18, *(len(row["schedule"]) + 2 for row in rows))
    yield f"{'system':<{widths[0]}}{'schedule':<{widths[1]}}{'layers':>9}{'steps':>10}{'expected':>10}{'at end':>8}{'saved':>8}{'TFLOP':>10}{'runs':>6}"
    for row in found["systems"]:
        yield _line(row, widths) + f"{row['runs']:>6}"
    if found["search"] is not None:
        yield from _search(found["search"], widths)
    yield ""
    known = found["seconds"] is not None
    time = f"about {duration(found['seconds'])} of pre-training, by this study's finished runs" if known else "time unknown until a run of it has finished here"
    yield f"{compact(found['tflop'])} TFLOP in all; {time}; checkpoints up to {found['disk_gib']:.2f} GiB"
    commands = [command for row in found["systems"] for command in row["commands"]]
    if commands:
        yield "commands of the systems' runs:"
        yield from (f"  {command}" for command in commands)


def _name(row: dict[str, Any]) -> str:
    if "params" in row:
        return "  sampled"
    return (row["system"] or "run") + (f" (tune {row['tune']})" if row["tune"] else "")


def _line(row: dict[str, Any], widths: tuple[int, int]) -> str:
    return (
        f"{_name(row):<{widths[0]}}{row['schedule']:<{widths[1]}}{_depth(row):>9}{row['steps']:>10,}"
        f"{row['expected_layers_mean']:>10.2f}{row['expected_layers_end']:>8.2f}"
        f"{100 * row['saved_block_flops']:>6.1f} %{row['tflop']:>10,.2f}"
    )


def _depth(row: dict[str, Any]) -> str:
    """`12`, or `3>6>12` of a stack that grows."""
    return str(row["layers"]) if row["growth"] is None else ">".join(str(layers) for _, layers in row["growth"]["stages"])


def _search(search: dict[str, Any], widths: tuple[int, int]) -> Iterator[str]:
    count = f"{search['combinations']:,} combinations" if search["combinations"] is not None else "infinitely many combinations"
    yield ""
    yield f"search: {search['trials']} trials by {search['sampler']} over {count}; the first batch, before any result:"
    for row in search["first_batch"]:
        values = ", ".join(f"{key} = {f'{value:.4g}' if isinstance(value, float) else value}" for key, value in row["params"].items())
        yield f"  {values}: {row['problem']}" if "problem" in row else _line(row, widths) + f"  {values}"
