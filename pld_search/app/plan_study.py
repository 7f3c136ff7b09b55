"""What a study would do: its systems and first batch resolved, FLOPs, time, money, memory, disk, and the commands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pld_search.errors import ConfigError

if TYPE_CHECKING:
    from pld_search.app.run_commands import Commands
    from pld_search.search.slots import Slots
    from pld_search.spaces.resolve import Resolver
    from pld_search.spaces.study import Study
    from pld_search.specs.machine import Machine
    from pld_search.specs.prepared_data import Prepared

TERA, GIBI = 1e12, 2**30


def planned(study: Study, machine: Machine, slots: Slots, prepared: Prepared) -> dict[str, Any]:
    """The plan as JSON values; seconds and memory of architectures that were measured. Raises ConfigError when a system
    cannot be built.
    """
    from pld_search.app.calibrate_study import resolver_for
    from pld_search.app.plan_rungs import search_cost
    from pld_search.app.post_norm import post_norm
    from pld_search.app.run_commands import Commands
    from pld_search.app.target_payback import payback
    from pld_search.costs.payback import money
    from pld_search.spaces.domains import size

    folder = Path(machine.runs) / study.name
    resolver = resolver_for(study, machine, slots, prepared)
    commands = Commands(study, folder, slots.ranks, slots.nodes)
    rows = list(systems(study, resolver, commands))
    batch = list(first_batch(study, resolver, slots.free, commands)) if study.search is not None else []
    buildable = [row for row in batch if "problem" not in row]
    cost = search_cost(study.search, buildable) if study.search is not None else None
    part = cost["tflop"] / cost["whole_tflop"] if cost is not None and cost["tflop"] is not None else 1.0
    each = part * sum(row["tflop"] for row in buildable) / len(buildable) if buildable else 0.0
    sampled = study.search.trials * study.seeds if study.search is not None else 0
    fresh = confirmation(study, rows, each / part)
    tflop = sum(row["tflop"] * row["runs"] for row in rows) + each * sampled + fresh["tflop"]
    runs = sum(row["runs"] for row in rows) + sampled + fresh["runs"]
    time = expected_time(rows, buildable, sampled, folder, tflop, slots.free, part, fresh)
    return {
        "study": study.name,
        "folder": str(folder),
        "continues": (folder / "study.jsonl").is_file(),
        "device": slots.device,
        "slots": slots.free,
        "threads": slots.threads,
        "ranks": slots.ranks,
        "prepared": bool(prepared.corpus.folder),
        "vocabulary_assumed": resolver.prepared.corpus.vocabulary,
        "systems": rows,
        "search": None
        if study.search is None
        else {
            "sampler": study.search.sampler,
            "trials": study.search.trials,
            "combinations": size(study.experiment),
            "first_batch": batch,
            "early_stopping": study.search.early_stopping.kind if study.search.early_stopping is not None else None,
            "cost": cost,
        },
        "confirm": fresh,
        "runs": runs,
        "tflop": tflop,
        **time,
        "money": money(time["slot_seconds"], machine.price_per_hour) if time["slot_seconds"] is not None else None,
        "memory_gb": max(
            (row["memory_gb"] for row in [*rows, *buildable] if row["memory_gb"] is not None), default=None
        ),
        "disk_gib": runs
        * machine.keep_checkpoints
        * max((row["checkpoint_bytes"] for row in [*rows, *buildable]), default=0)
        / GIBI,
        "profiles": sorted({row["profile"] for row in [*rows, *buildable] if row["profile"] is not None}),
        "notes": [*post_norm([*rows, *buildable]), *_device(machine, slots), *_places(study, machine)],
        "target": payback(study, resolver, folder, buildable, time["slot_seconds"], machine.price_per_hour),
    }


def _device(machine: Machine, slots: Slots) -> Iterator[str]:
    """A plan for another machine is one, but a run would not start here."""
    from pld_search.search.gpus import unseen_gpus

    if (problem := unseen_gpus(machine, slots)) is not None:
        yield f"{problem.message}: `run` refuses `device: cuda` here"


def _places(study: Study, machine: Machine) -> Iterator[str]:
    """The same of data: they may lie where the study is going to run."""
    from pld_search.app.prepare_study import missing_places

    for problem in missing_places(study, machine):
        yield f"{problem}: `run` refuses it here"


def confirmation(study: Study, rows: Sequence[dict[str, Any]], sampled: float) -> dict[str, Any]:
    """Runs and TFLOP of the fresh seeds: every system, and the `top` of the search at `sampled` TFLOP each."""
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
    """Seconds of pre-training of a whole study, and of all its slots together: by profiles, else by its finished runs,
    else None.

    Runs are started in their order, each in the slot that is free first; sampled ones count with the mean of the first
    batch, of which early stopping leaves a `part`; `fresh` are the runs that confirm.
    """
    from pld_search.costs.seconds import makespan

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


def systems(study: Study, resolver: Resolver, commands: Commands) -> Iterator[dict[str, Any]]:
    """A row a system; a tuned one is shown at the first values of what it leaves open, and its runs are its tuning
    trials'.

    `equal_to` is an earlier system of the same digest: runs of equal seeds are trained once, and `runs` counts the
    others.
    """
    from pld_search.app.run_commands import equal_runs
    from pld_search.spaces.domains import variants

    names: list[str | None] = [system.name for system in study.systems]
    seen: dict[str, tuple[str, int]] = {}
    for name in names or ([None] if study.search is None else []):
        tune = study.system(name).tune if name is not None else None
        seeds = study.seeds_of(name)
        row = resolved(resolver, variants(study.tree_of(name))[0])
        equal_to, runs = (None, seeds * tune) if tune else equal_runs(seen, name or "run", row["digest"], seeds)
        yield {
            "system": name,
            "tune": tune,
            "seeds": seeds,
            "runs": runs,
            "equal_to": equal_to,
            **row,
            "commands": commands.of_system(name),
        }


def first_batch(study: Study, resolver: Resolver, count: int, commands: Commands) -> Iterator[dict[str, Any]]:
    """The configurations the search would sample before it knows any result, at most one a slot; `problem` where one
    would be rejected.
    """
    from pld_search.search.optuna.backend import OptunaBackend

    for number, (asked, tree) in enumerate(OptunaBackend().preview(study, count)):
        row = _sampled(study, resolver, tree)
        yield {"params": asked.params, **row, "commands": commands.of_sampled(number, row.get("rungs", ()))}


def _sampled(study: Study, resolver: Resolver, tree: Any) -> dict[str, Any]:
    """A sampled configuration resolved; only its `problem` where it cannot be built or violates what can be
    forecast.
    """
    from pld_search.app.plan_rungs import rungs_of
    from pld_search.spaces.constraints import forecasted

    rule = study.search.early_stopping if study.search is not None else None
    try:
        row, experiment = resolved(resolver, tree), resolver.experiment(tree)
        known, row["rungs"] = resolver.forecast(experiment), rungs_of(experiment, rule) if rule is not None else []
    except ConfigError as error:
        return {"problem": str(error)}
    broken = [str(each) for each in forecasted(study.constraints, known) if each.violated]
    return {"problem": f"violates {', '.join(broken)}: rejected before training"} if broken else row


def resolved(resolver: Resolver, tree: Any) -> dict[str, Any]:
    """What is known of a configuration before it runs. Raises ConfigError when it cannot be built."""
    from pld_search.costs.parameters import checkpoint_bytes

    experiment = resolver.experiment(tree)
    expected, profile = resolver.forecast(experiment), resolver.profile(experiment)
    return {
        "schedule": experiment.schedule.name,
        "layers": experiment.model.layers,
        "growth": None if experiment.growth is None else experiment.growth.model_dump(mode="json"),
        "length": experiment.data.model_dump(mode="json")["length"],
        "norm": experiment.model.norm,
        "steps": experiment.steps,
        "digest": experiment.digest,
        "tokens": int(expected["forecast/tokens"]),
        "expected_layers_mean": expected["forecast/expected_layers_mean"],
        "expected_layers_end": expected["forecast/expected_layers_end"],
        "saved_block_flops": expected["forecast/saved_block_flops"],
        "theta_end": float(experiment.schedule.theta(experiment.steps, experiment.steps)),
        "tflop": expected["forecast/total_flops"] / TERA,
        "parameters": int(expected["forecast/parameters"]),
        "checkpoint_bytes": checkpoint_bytes(experiment.model, experiment.pretraining),
        "seconds": expected.get("forecast/seconds"),
        "memory_gb": expected.get("forecast/memory_gb"),
        "profile": profile.said if profile is not None else None,
    }


def seconds_by_finished_runs(folder: Path, tflop: float) -> float | None:
    """Seconds of pre-training for `tflop` in one slot, by the runs of this study that finished; None where there is
    none.
    """
    from pld_search.records.study_record import view

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
