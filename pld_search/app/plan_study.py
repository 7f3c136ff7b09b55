"""The plan of a study: its systems and first batch resolved, FLOPs, time, money, memory, disk, and the commands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pld_search.app.calibrate_study import resolver_for
from pld_search.app.design_power import power_of
from pld_search.app.fair_comparison import fairness_notes, refuse_unfair, waivers
from pld_search.app.row_forecasts import first_batch, systems
from pld_search.app.run_commands import Commands
from pld_search.app.study_data import missing_places, template_of
from pld_search.app.target_payback import payback
from pld_search.costs.payback import money
from pld_search.costs.seconds import makespan
from pld_search.records.study_record import view
from pld_search.search.slots import Slots, unseen_gpus
from pld_search.spaces.decide import UNDECIDABLE
from pld_search.spaces.domains import size
from pld_search.spaces.early_stopping import Promotion
from pld_search.spaces.resolve import Resolver
from pld_search.spaces.study import Search, Study
from pld_search.specs.machine import Machine
from pld_search.specs.prepared_data import Prepared

GIBI = 2**30


def planned(
    study: Study, machine: Machine, slots: Slots, prepared: Prepared, detect: float | None = None
) -> dict[str, Any]:
    """Returns the plan as JSON values; seconds and memory for measured architectures. detect: a difference of the
    primary metric; the plan then states the seeds that detect it. Raises ConfigError when a system cannot be built.
    """
    folder = Path(machine.runs) / study.name
    refuse_unfair(study, folder)
    resolver = resolver_for(study, machine, slots, prepared)
    commands = Commands(study, folder, slots.ranks, slots.nodes)
    rows = list(systems(study, resolver, commands))
    batch = list(first_batch(study, resolver, slots.free, commands)) if study.search is not None else []
    buildable = [row for row in batch if "problem" not in row]
    cost = search_cost(study.search, buildable) if study.search is not None else None
    part = cost["tflop"] / cost["whole_tflop"] if cost is not None and cost["tflop"] is not None else 1.0
    each = part * sum(row["tflop"] for row in buildable) / len(buildable) if buildable else 0.0
    sampled = study.search.trials * study.seeds_of(None) if study.search is not None else 0
    fresh = confirmation(study, rows, each / part)
    tflop = sum(row["tflop"] * row["runs"] for row in rows) + each * sampled + fresh["tflop"]
    runs = sum(row["runs"] for row in rows) + sampled + fresh["runs"]
    decides = power_of(study, rows, Path(machine.runs), detect)
    time = expected_time(rows, buildable, sampled, folder, tflop, slots.free, part, fresh)
    return {
        **_where(study, folder, slots, resolver),
        "systems": rows,
        "search": _search(study, batch, cost),
        "confirm": fresh,
        "decides": decides.values if decides is not None else None,
        "runs": runs,
        "tflop": tflop,
        "fine_tuning": _fine_tuning(study),
        **time,
        "money": money(time["slot_seconds"], machine.price_per_hour) if time["slot_seconds"] is not None else None,
        **_sizes([*rows, *buildable], runs * machine.keep_checkpoints),
        "notes": _notes(study, machine, slots, prepared, [*rows, *buildable]),
        "target": payback(study, resolver, folder, buildable, time["slot_seconds"], machine.price_per_hour),
    }


def _where(study: Study, folder: Path, slots: Slots, resolver: Resolver) -> dict[str, Any]:
    """Returns where the study runs, and on which data."""
    return {
        "study": study.name,
        "folder": str(folder),
        "continues": (folder / "study.jsonl").is_file(),
        "device": slots.device,
        "slots": slots.free,
        "threads": slots.threads,
        "ranks": slots.ranks,
        "prepared": bool(resolver.prepared.corpus.folder),
        "vocabulary_assumed": resolver.prepared.corpus.vocabulary,
    }


def _search(study: Study, batch: Sequence[dict[str, Any]], cost: dict[str, Any] | None) -> dict[str, Any] | None:
    """Returns the first questions and the cost of the search; None for a study without a search."""
    if study.search is None:
        return None
    rule = study.search.early_stopping
    return {
        "sampler": study.search.sampler,
        "trials": study.search.trials,
        "combinations": size(study.experiment),
        "first_batch": batch,
        "early_stopping": rule.kind if rule is not None else None,
        "cost": cost,
    }


def _fine_tuning(study: Study) -> dict[str, Any] | None:
    """Returns the fine-tuning after each run, which no forecast includes: tasks, epochs, and fine-tunings per task."""
    found = template_of(study).evaluation
    if not found.tasks:
        return None
    tasks = (
        ["demo"]
        if found.tasks == "demo"
        else [each if isinstance(each, str) else next(iter(each)) for each in found.tasks]
    )
    rates = len(found.lr) if isinstance(found.lr, list | tuple) else 1
    return {"tasks": tasks, "epochs": found.epochs, "fine_tunings": found.seeds * rates}


def _sizes(rows: Sequence[dict[str, Any]], checkpoints: int) -> dict[str, Any]:
    """Returns the memory of the largest row, the disk space of `checkpoints` checkpoints of the largest size, and the
    profiles used.
    """
    memory = [row["memory_gb"] for row in rows if row["memory_gb"] is not None]
    return {
        "memory_gb": max(memory, default=None),
        "disk_gib": checkpoints * max((row["checkpoint_bytes"] for row in rows), default=0) / GIBI,
        "profiles": sorted({row["profile"] for row in rows if row["profile"] is not None}),
    }


def _notes(
    study: Study, machine: Machine, slots: Slots, prepared: Prepared, rows: Sequence[dict[str, Any]]
) -> list[str]:
    """Returns notes for the reader of the plan."""
    return [
        *([UNDECIDABLE] if study.decides_nothing else []),
        *fairness_notes(study, prepared),
        *waivers(study),
        *post_norm(rows),
        *_device(machine, slots),
        *_places(study, machine),
    ]


def _device(machine: Machine, slots: Slots) -> Iterator[str]:
    """Yields a note when a run would not start on this machine for lack of a GPU; the plan may be for another
    machine.
    """
    if (problem := unseen_gpus(machine, slots)) is not None:
        yield f"{problem.message}: `run` refuses `device: cuda` here"


def _places(study: Study, machine: Machine) -> Iterator[str]:
    """Yields a note for each missing data path; the data may lie on another machine, where the study will run."""
    for problem in missing_places(study, machine):
        yield f"{problem}: `run` refuses it here"


def confirmation(study: Study, rows: Sequence[dict[str, Any]], sampled: float) -> dict[str, Any]:
    """Returns runs and TFLOP of the confirmation: every system, and the search's `top` at `sampled` TFLOP each."""
    if study.confirm is None:
        return {"runs": 0, "tflop": 0.0, "of_each_system": 0, "of_sampled": 0}
    top = min(study.confirm.top, study.search.trials) if study.search is not None else 0
    each = sum(row["tflop"] for row in rows) + sampled * top
    seeds = study.confirm.seeds
    return {
        "runs": seeds * (len(rows) + top),
        "tflop": seeds * each,
        "of_each_system": seeds,
        "of_sampled": seeds * top,
    }


def expected_time(
    rows: Sequence[dict[str, Any]],
    batch: Sequence[dict[str, Any]],
    sampled: int,
    folder: Path,
    tflop: float,
    slots: int,
    part: float,
    fresh: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns the seconds of pre-training of a whole study, and the sum over its slots: from profiles, else from its
    finished runs, else None.

    Runs start in order, each in the slot that is free first. A sampled run counts with the mean of the first batch,
    times `part`, the share that early stopping leaves. `fresh` holds the confirming runs.
    """
    known = [row["seconds"] for row in batch if row["seconds"] is not None]
    if all(row["seconds"] is not None for row in rows) and (known or not sampled):
        each = [row["seconds"] for row in rows for _ in range(row["runs"])] + [
            part * sum(known) / max(1, len(known))
        ] * sampled
        each += [row["seconds"] for row in rows] * fresh["of_each_system"] + [sum(known) / max(1, len(known))] * fresh[
            "of_sampled"
        ]
        return {"seconds": makespan(each, slots), "slot_seconds": sum(each), "time_by": "profiles"}
    measured = seconds_by_finished_runs(folder, tflop)
    if measured is None:
        return {"seconds": None, "slot_seconds": None, "time_by": None}
    return {"seconds": measured / slots, "slot_seconds": measured, "time_by": "finished runs"}


def seconds_by_finished_runs(folder: Path, tflop: float) -> float | None:
    """Returns the seconds of pre-training for `tflop` in one slot, from this study's finished runs; None without
    finished runs.
    """
    if not (folder / "study.jsonl").is_file():
        return None
    finals = [run.final for run in view(folder).runs.values() if run.state == "finished"]
    known = [
        (final["progress/seconds"], final["progress/tflop"])
        for final in finals
        if final.get("progress/tflop") and "progress/seconds" in final
    ]
    done = sum(spent for _, spent in known)
    return tflop * sum(seconds for seconds, _ in known) / done if done else None


def search_cost(search: Search, batch: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Returns the TFLOP of one seed of all sampled trials, from the mean of the first batch, with and without early
    stopping; None without a rule or a batch.

    With promotion, floor(n / eta) of n trials go on from a rung, at least one: `tflop` is the expected value. The
    number of trials that a pruner stops is not known before: its `tflop` is None and the whole is the bound.
    """
    rows = [row for row in batch if row.get("rungs")]
    if search.early_stopping is None or not rows:
        return None
    whole = search.trials * sum(row["tflop"] for row in rows) / len(rows)
    if not isinstance(search.early_stopping, Promotion):
        return {"tflop": None, "whole_tflop": whole, "finish": None}
    spent, there = 0.0, search.trials
    for rung in range(len(rows[0]["rungs"])):
        each = [row["rungs"][rung]["tflop"] + row["rungs"][rung]["branch_tflop"] for row in rows]
        spent, there = spent + there * sum(each) / len(each), max(1, there // search.early_stopping.eta)
    last = [row["tflop"] - sum(rung["tflop"] for rung in row["rungs"]) for row in rows]
    return {"tflop": spent + there * sum(last) / len(last), "whole_tflop": whole, "finish": there}


def post_norm(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yields the note on dropped layers in post-norm models when a row of the plan drops layers in one."""
    if any(row["norm"] == "post" and row["expected_layers_mean"] < row["layers"] for row in rows):
        yield (
            "layers are dropped in a post-norm model. What is known: in the table of PLD's authors every "
            "system that drops layers is pre-norm, and both "
            "post-norm rows run at full depth with a peak lr of 1e-4, a tenth of the pre-norm rows'. A "
            "skipped post-norm block is the identity, its "
            "LayerNorms included. Keep a full-depth post-norm system as the reference, and 1e-4 among the "
            "learning rates."
        )
