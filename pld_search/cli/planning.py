"""What a study would do: its systems and first batch resolved, FLOPs, time, disk, and the commands. Nothing is started or prepared."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pld_search.errors import ConfigError

if TYPE_CHECKING:
    from pld_search.spaces.definition import Study
    from pld_search.spaces.resolve import Resolver
    from pld_search.specs.experiment import Experiment
    from pld_search.specs.machine import Machine

BYTES_A_PARAMETER = 12  # weights and AdamW's two moments, in fp32
TERA, GIBI = 1e12, 2**30


def planned(study: Study, machine: Machine) -> dict[str, Any]:
    """The plan as JSON values. Raises ConfigError when a system cannot be built."""
    from pld_search.cli.studies import assumed
    from pld_search.search.slots import open_slots
    from pld_search.spaces.domains import size
    from pld_search.spaces.resolve import Resolver

    folder = Path(machine.runs) / study.name
    slots = open_slots(machine, os.environ)
    resolver = Resolver(study, assumed(study), slots.device)
    rows = list(systems(study, resolver, folder))
    batch = list(first_batch(study, resolver, slots.free)) if study.search is not None else []
    each = sum(row["tflop"] for row in batch) / len(batch) if batch else 0.0
    sampled = study.search.trials * study.seeds if study.search is not None else 0
    tflop = sum(row["tflop"] * row["runs"] for row in rows) + each * sampled
    parameters = [row["parameters"] for row in [*rows, *batch]]
    runs = sum(row["runs"] for row in rows) + sampled
    return {
        "study": study.name,
        "folder": str(folder),
        "continues": (folder / "study.jsonl").is_file(),
        "device": slots.device,
        "slots": slots.free,
        "threads": slots.threads,
        "vocabulary_assumed": resolver.prepared.corpus.vocabulary,
        "systems": rows,
        "search": None
        if study.search is None
        else {"sampler": study.search.sampler, "trials": study.search.trials, "combinations": size(study.experiment), "first_batch": batch},
        "runs": runs,
        "tflop": tflop,
        "seconds": expected_seconds(folder, tflop, slots.free),
        "disk_gib": runs * machine.keep_checkpoints * max(parameters, default=0) * BYTES_A_PARAMETER / GIBI,
    }


def systems(study: Study, resolver: Resolver, folder: Path) -> Iterator[dict[str, Any]]:
    """A row a system; a tuned one is shown at the first values of what it leaves open, and its runs are its tuning trials'."""
    from pld_search.records.study import trial_folder
    from pld_search.search.start import Start, train_command
    from pld_search.spaces.domains import variants

    names: list[str | None] = [system.name for system in study.systems]
    trial = 0
    for name in names or ([None] if study.search is None else []):
        tune = study.system(name).tune if name is not None else None
        seeds = study.seeds_of(name)
        row = resolved(resolver.experiment(variants(study.tree_of(name))[0]))
        commands = [] if tune else [" ".join(train_command(Start(trial_folder(folder, trial, index)))) for index in range(seeds)]
        trial += 0 if tune else 1
        yield {"system": name, "tune": tune, "seeds": seeds, "runs": seeds * (tune or 1), **row, "commands": commands}


def first_batch(study: Study, resolver: Resolver, count: int) -> Iterator[dict[str, Any]]:
    """The configurations the search would sample before it knows any result, at most one a slot."""
    from pld_search.search.optuna_study import OptunaStudy
    from pld_search.search.storage import open_storage, open_study
    from pld_search.search.suggest import ask

    assert study.search is not None
    with tempfile.TemporaryDirectory() as place:
        opened = open_study(open_storage(Path(place)), study.name, "plan", [objective.direction for objective in study.objectives])
        asker = OptunaStudy(opened, study.search.sampler, study.search.seed)
        for _ in range(min(count, study.search.trials)):
            question, tree = ask(asker, study.experiment)
            try:
                row = resolved(resolver.experiment(tree))
            except ConfigError as error:
                row = {"problem": str(error), "tflop": 0.0, "parameters": 0}
            yield {"params": question.params, **row}


def resolved(experiment: Experiment) -> dict[str, Any]:
    """What is known of a configuration before it runs."""
    from pld_search.spaces.resolve import forecast_of

    expected = forecast_of(experiment)
    return {
        "schedule": experiment.schedule.name,
        "layers": experiment.model.layers,
        "growth": None if experiment.growth is None else experiment.growth.model_dump(mode="json"),
        "steps": experiment.steps,
        "digest": experiment.digest,
        "tokens": expected.tokens,
        "expected_layers_mean": expected.expected_layers_mean,
        "expected_layers_end": expected.expected_layers_end,
        "saved_block_flops": expected.saved_block_flops,
        "theta_end": float(experiment.schedule.theta(experiment.steps, experiment.steps)),
        "tflop": expected.total_flops / TERA,
        "parameters": parameters_of(experiment),
    }


def parameters_of(experiment: Experiment) -> int:
    """Weights of the model, without biases and norms: under a hundredth of the whole."""
    model = experiment.model
    block = 4 * model.hidden * model.hidden + 2 * model.hidden * model.intermediate
    positions = model.max_length * model.hidden if model.positions == "learned" else 0
    return model.padded_vocabulary * model.hidden + positions + model.layers * block + model.hidden * model.hidden


def expected_seconds(folder: Path, tflop: float, slots: int) -> float | None:
    """Seconds of pre-training for `tflop` in all slots, by the runs of this study that finished; None where there is none."""
    from pld_search.records.study import view

    if not (folder / "study.jsonl").is_file():
        return None
    finals = [run.final for run in view(folder).runs.values() if run.state == "finished"]
    known = [(final["progress/seconds"], final["progress/tflop"]) for final in finals if final.get("progress/tflop") and "progress/seconds" in final]
    done = sum(spent for _, spent in known)
    return tflop * sum(seconds for seconds, _ in known) / done / slots if done else None
