"""`plan FILE`: shows a study's plan without running it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from pld_search.app.calibrate_study import calibrate_study
from pld_search.app.find_study import study_of
from pld_search.app.machine_setup import machine_used
from pld_search.app.plan_study import planned
from pld_search.app.study_data import assumed
from pld_search.cli.options import Device, Json, MachineFile, Runs, Sets, Slots, StudyFile, Threads
from pld_search.cli.output import UNBROKEN, columns, emit, say, wrapped
from pld_search.cli.plan_table import plan_table
from pld_search.records.trial_record import CONFIRMATION
from pld_search.report.number_text import compact, duration
from pld_search.report.row_names import sampled_text
from pld_search.search.slots import check_gpus, open_slots

Calibrate = Annotated[
    bool,
    typer.Option(
        "--calibrate", help="Measure every architecture here first, alone on a slot; later plans use what was measured."
    ),
]

Detect = Annotated[
    float | None,
    typer.Option(
        "--detect", metavar="D", min=0, help="Say how many seeds detect a difference of D in the primary metric."
    ),
]


def plan(
    file: StudyFile,
    calibrate: Calibrate = False,
    detect: Detect = None,
    sets: Sets = None,
    slots: Slots = None,
    threads: Threads = None,
    device: Device = None,
    runs: Runs = None,
    machine: MachineFile = None,
    json: Json = False,
) -> None:
    """Show what a study would do; no run is started.

    Systems and the first batch resolved, FLOPs, time where it is known, memory, disk, and the commands. Nothing is
    prepared either, but with --calibrate.
    """
    import os

    study = study_of(file, sets)
    with machine_used(machine, sets or (), slots=slots, threads=threads, device=device, runs=runs) as found:
        opened = open_slots(found, os.environ)
        if calibrate:
            check_gpus(found, opened)
        prepared = (
            calibrate_study(study, found, opened, lambda text: say(text, aside=True)) if calibrate else assumed(study)
        )
        result = planned(study, found, opened, prepared, detect)
    if json:
        emit(result)
        return
    for text in told(result, columns(UNBROKEN)):
        say(text)


def told(found: dict[str, Any], width: int = UNBROKEN) -> Iterator[str]:
    """Yields the plan as text of at most `width` columns; commands are never wrapped."""
    for text in _lines_of_plan(found, width):
        yield from (text,) if len(text) <= width or _is_command(text) else wrapped(text, width)


def _is_command(text: str) -> bool:
    return text.startswith("  ") and " train " in text


def _lines_of_plan(found: dict[str, Any], width: int) -> Iterator[str]:
    threads = f"{found['threads']} thread{'s' if found['threads'] > 1 else ''}"
    yield (
        f"{found['study']}: {found['runs']} runs in {found['folder']} ({'continues' if found['continues'] else 'new'})"
    )
    taken, until = ("", "") if found["prepared"] else ("taken as ", " until the data are prepared")
    vocabulary = f"vocabulary {taken}{found['vocabulary_assumed']:,}{until}"
    ranks = f" of {found['ranks']} ranks each" if found["ranks"] > 1 else ""
    yield (
        f"{found['slots']} at once{ranks} on {found['device']}, {threads} {'a rank' if ranks else 'each'}; {vocabulary}"
    )
    yield ""
    rows = [*found["systems"], *(row for row in (found["search"] or {}).get("first_batch", ()) if "problem" not in row)]
    yield from plan_table(found["systems"], rows, width)
    if found["search"] is not None:
        yield from _search(found["search"], rows, width)
    if found["confirm"]["runs"]:
        yield f"confirmation: {found['confirm']['runs']} runs with fresh seeds, once the search is over"
    yield ""
    yield from _costs(found)
    if found["decides"] is not None:
        yield from _decides(found["decides"])
    if found["target"] is not None:
        yield ""
        yield from _payback(found["target"])
    for note in found["notes"]:
        yield f"note: {note}"
    yield "commands" + (
        ", from a rung on only of runs that are not stopped there:" if any(row.get("rungs") for row in rows) else ":"
    )
    yield from (f"  {command}" for command in _shown([command for row in rows for command in row["commands"]]))
    yield from _later(found)


def _later(found: dict[str, Any]) -> Iterator[str]:
    """Yields lines on runs whose trials are not known yet: they use the same command on other folders."""
    search, fresh = found["search"], found["confirm"]
    if search is not None and search["trials"] > len(search["first_batch"]):
        yield (
            f"  likewise {search['trials'] - len(search['first_batch'])} more sampled trials, in the numbers "
            "that follow"
        )
    if fresh["runs"]:
        yield f"  likewise {fresh['runs']} runs that confirm, in seed-{CONFIRMATION} and onwards of the trials that won"


def _costs(found: dict[str, Any]) -> Iterator[str]:
    """Yields the costs of the whole study: FLOPs, time and its source, money, memory, disk."""
    yield f"{compact(found['tflop'])} TFLOP in all; checkpoints up to {found['disk_gib']:.2f} GiB{_memory(found)}"
    if (after := found["fine_tuning"]) is not None:
        times = f", {after['fine_tunings']} times" if after["fine_tunings"] > 1 else ""
        epochs = f"{after['epochs']:g} epoch{'' if after['epochs'] == 1 else 's'}"
        yield f"  of pre-training; after each run comes fine-tuning: {epochs} of {', '.join(after['tasks'])}{times}"
    if found["seconds"] is None:
        yield "time unknown: `plan STUDY --calibrate` measures it, and so does a finished run of the study"
        return
    money = f", {compact(found['money'])} in money" if found["money"] is not None else ""
    yield (
        f"about {duration(found['seconds'])} of pre-training with {found['slots']} at once, "
        f"{duration(found['slot_seconds'])} of slots{money}"
    )
    yield from (f"  by a profile of {profile}" for profile in found["profiles"] if found["time_by"] == "profiles")
    if found["time_by"] == "profiles":
        yield "  each run alone on its slot; validation, checkpoints and fine-tuning come on top"
    else:
        yield "  by this study's finished runs"


def _decides(found: dict[str, Any]) -> Iterator[str]:
    """Yields the power of the design: the smallest detectable difference, its spread, and the seeds for an effect."""
    unit = " nats" if found["primary"].endswith("/loss") else ""
    seeds = f"{found['seeds']} seed{'' if found['seeds'] == 1 else 's'}"
    rows = f"{found['rows']} rows x {seeds}"
    if found["detectable"] is None and found["own"] is None:
        yield f"decides nothing: {rows}, and two seeds at least are needed to know the spread"
        return
    size = f"{100 * found['power']:g} % power, {found['primary']}"
    for value, which in ((found["detectable"], "rows built like the reference"), (found["own"], "other architectures")):
        if value is not None:
            amount = f"{value:.2g}{unit}" if found["sd"] is not None else f"{value:.2f} residual deviations"
            yield f"detects {amount} between {which} ({rows}, {size})"
    if found["between"] is not None:
        yield (
            f"  between {found['between'][0]:.2g} and {found['between'][1]:.2g}{unit}, since few runs measured "
            "the spread"
        )
    if found["sd"] is None:
        yield "  the spread is not known: `decide: {spread: ...}` states it, or names a study that has measured it"
    else:
        yield f"  with a residual deviation of {found['sd']:.3g}{unit} {found['by']}"
    yield from _equalities(found, unit)
    if found["wanted"] is not None:
        if found["needed"] is None:
            yield f"  a difference of {found['wanted']:g}{unit} takes more than 1,000 seeds a row"
        else:
            cost = f"{compact(found['tflop'])} TFLOP for all rows"
            yield f"  a difference of {found['wanted']:g}{unit} takes {found['needed']} seeds a row: {cost}"


def _equalities(found: dict[str, Any], unit: str) -> Iterator[str]:
    """Yields lines on how often rows without a difference are called equal; none without a margin and a spread."""
    rows = ((found["equal"], "row built like the reference"), (found["equal_own"], "row of another architecture"))
    for value, which in rows:
        if value is not None:
            margin, share = f"{found['margin']:g}{unit}", f"{100 * value:.0f} % of studies"
            yield f"  a {which} that is no different is called equal within {margin} in {share}"


def _memory(found: dict[str, Any]) -> str:
    return f"; memory up to {found['memory_gb']:.2f} GB a run" if found["memory_gb"] is not None else ""


def _search(search: dict[str, Any], rows: Sequence[dict[str, Any]], width: int) -> Iterator[str]:
    count = (
        f"{search['combinations']:,} combinations"
        if search["combinations"] is not None
        else "infinitely many combinations"
    )
    yield ""
    yield f"search: {search['trials']} trials by {search['sampler']} over {count}; the first batch, before any result:"
    yield from plan_table([row for row in search["first_batch"] if "problem" not in row], rows, width, headings=False)
    for row in search["first_batch"]:
        if "problem" in row:
            yield f"  {sampled_text('', row['params'])}: {row['problem']}"
    yield from _rungs(search)


def _rungs(search: Mapping[str, Any]) -> Iterator[str]:
    """Yields a line for each configuration of the first batch with its rungs, and one for the search."""
    rows = [row for row in search["first_batch"] if row.get("rungs")]
    if not rows:
        return
    yield f"early stopping by the {search['early_stopping']} rule; rungs at shares of each run's FLOPs:"
    for row in rows:
        yield f"  {row['schedule']}: " + ", ".join(_rung(rung) for rung in row["rungs"])
    cost = search["cost"]
    if cost["tflop"] is None:
        yield (
            f"  at most {compact(cost['whole_tflop'])} TFLOP a seed for all sampled trials; how many are stopped "
            "is not known before"
        )
    else:
        yield (
            f"  about {compact(cost['tflop'])} TFLOP a seed for all sampled trials, branches included, "
            f"instead of {compact(cost['whole_tflop'])};"
            f" {cost['finish']} of {search['trials']} reach the end"
        )


def _rung(rung: Mapping[str, Any]) -> str:

    branch = (
        f" and a branch of {rung['branch_steps']:,} ({compact(rung['branch_tflop'])} TFLOP)"
        if rung["branch_steps"]
        else ""
    )
    return f"{100 * rung['share']:g} % at step {rung['step']:,}{branch}"


def _payback(target: dict[str, Any]) -> Iterator[str]:
    """Yields the payback of the target as text."""
    runs = f"{target['runs']} run{'s' if target['runs'] > 1 else ''} planned"
    yield f"target: {target['layers']} x {target['hidden']}, {target['steps']:,} steps, {runs}"
    if target["full_seconds"] is None:
        yield "  time unknown: `plan STUDY --calibrate` measures the target's architecture too"
    else:
        cost = f", {compact(target['full_money'])} in money" if target["full_money"] is not None else ""
        yield (
            f"  one run at full depth: {duration(target['full_seconds'])}{cost}; memory "
            f"{target['memory_gb']:.2f} GB; by {target['profile']}"
        )
    for row in target["candidates"]:
        yield f"  {row['schedule']}: saves {100 * row['saved_flops']:.1f} % of FLOPs{_payback_text(row, target)}"
    yield (
        "  this counts on a schedule needing no more steps than full depth for the same quality at that size; "
        "only runs there can show it"
    )


def _payback_text(row: dict[str, Any], target: dict[str, Any]) -> str:

    if row.get("saved_seconds") is None:
        return ""
    if row["pays_from_run"] is None:
        return "; no time, so the search never pays back"
    balance, search = row["balance_seconds"], duration(target["search_seconds"])
    after = f"{duration(abs(balance))} {'gained' if balance >= 0 else 'still to gain'} after {target['runs']}"
    return (
        f", {duration(row['saved_seconds'])} a run; the search ({search}) pays back from run "
        f"{row['pays_from_run']:,} on; {after}"
    )


def _shown(commands: Sequence[str], most: int = 6) -> list[str]:
    """Returns the commands to print: all, or the first `most` and the number of the rest."""
    rest = len(commands) - most
    return list(commands) if rest <= 0 else [*commands[:most], f"... and {rest} more (`--json` has them all)"]
