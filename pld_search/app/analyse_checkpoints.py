"""Runs analyses on request: of one checkpoint, of all kept checkpoints of a run, or of one run of every system of a
study.

The results for a run are recorded in its folder, `analysis/events.jsonl`, where reports find them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pld_search.analysis.analyse import analyse
from pld_search.analysis.held_out_sample import HeldOutSample
from pld_search.app.checkpoint_origin import CHECKPOINTS, Origin, origin_of
from pld_search.app.run_files import EXECUTION, execution_beside, experiment_in
from pld_search.app.study_folders import RECORDS
from pld_search.errors import CheckpointError, ConfigError, Problem
from pld_search.host.disk import held
from pld_search.model.build_model import load_bert
from pld_search.model.layered_model import LayeredModel
from pld_search.records.events import RunAnalysed
from pld_search.records.layer_analysis import LayerAnalysis
from pld_search.records.run_record import ANALYSIS, EVENTS, RunWriter
from pld_search.records.study_record import run_folder, view
from pld_search.records.winner import row_of
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Evaluation, Experiment
from pld_search.training import checkpoint
from pld_search.training.device import compute_settings
from pld_search.training.setup import Setup, open_setup

SEQUENCES = 256


@dataclass(frozen=True, slots=True)
class Analysed:
    """One analysis: the row of a study (else the folder's name) and the completed steps (None: not known)."""

    label: str
    step: int | None
    found: LayerAnalysis

    def as_json(self) -> dict[str, Any]:
        """Returns the JSON of `analyze --json`."""
        return {"label": self.label, "step": self.step, "layers": self.found.layers, **self.found.record()}


def analysed(
    source: Path,
    *,
    sequences: int = SEQUENCES,
    every: bool = False,
    experiment: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Analysed]:
    """Analyses `source`: the folder of a study, a run or a checkpoint. every: analyses each kept checkpoint of a run
    instead of the newest. experiment: the experiment's file for a checkpoint outside of a run, with execution.yaml
    beside it.

    Raises ConfigError, DataError or CheckpointError.
    """
    found = []
    for label, origin in _origins(source, every):
        what, how = _described(origin, experiment)
        tell(f"{label}: {origin.checkpoint.name}")
        analysis = _analysis(what, how, origin.checkpoint, sequences)
        if origin.record is not None and origin.step is not None:
            _record(origin.checkpoint.parent.parent, origin.step, analysis)
        found.append(Analysed(label, origin.step, analysis))
    return found


def _origins(source: Path, every: bool) -> Iterator[tuple[str, Origin]]:
    """Yields (label, checkpoint) to analyse, earlier checkpoints first."""
    if not (source / RECORDS).is_file():
        newest = origin_of(source)
        yield from ((source.absolute().name, each) for each in _kept(source, newest, every))
        return
    runs = dict(_runs_of(source))
    if not runs:
        raise ConfigError(Problem("no system of this study has a run with a checkpoint yet", given=str(source)))
    for system, run in runs.items():
        yield from ((system, each) for each in _kept(run, origin_of(run), every))


def _kept(run: Path, newest: Origin, every: bool) -> list[Origin]:
    """Returns the newest checkpoint; with `every` each complete checkpoint of the run."""
    root = run / CHECKPOINTS
    if not every or newest.checkpoint.parent != root:
        return [newest]
    steps = [step for step in reversed(checkpoint.steps_of(root)) if checkpoint.at(root, step) is not None]
    return [origin_of(root / checkpoint.folder_name(step)) for step in steps]


def _runs_of(study: Path) -> Iterator[tuple[str, Path]]:
    """Yields (system, run of its first seed with a complete checkpoint) for every system that has such a run."""
    seen = view(study)
    for system in dict.fromkeys(trial.system for trial in seen.study.trials.values() if trial.system is not None):
        trial = row_of(seen.study, system)
        if trial is None:
            continue
        for index in trial.indices:
            run = run_folder(study, trial, index)
            if checkpoint.latest(run / CHECKPOINTS) is not None:
                yield system, run
                break


def _described(origin: Origin, stated: Path | None) -> tuple[Experiment, Execution]:
    """Returns the experiment of the weights and the execution, which names the folders of the texts."""
    if stated is not None:
        return experiment_in(stated), execution_beside(stated)
    if origin.experiment is None or origin.execution is None:
        rule = f"no run around this checkpoint says which text to read; name its experiment, with {EXECUTION} beside it"
        raise ConfigError(Problem(rule, allowed="--experiment FILE", given=str(origin.checkpoint)))
    return origin.experiment, origin.execution


def _analysis(experiment: Experiment, execution: Execution, folder: Path, sequences: int) -> LayerAnalysis:
    """Analyses in fp32, on the execution's GPU when this machine has one, else on the CPU."""
    device = execution.device if torch.cuda.is_available() else "cpu"
    what = experiment.model_copy(update={"evaluation": Evaluation(), "precision": "fp32"})
    setup = open_setup(what, execution.model_copy(update={"device": device, "compile": False}))
    with compute_settings(setup.execution, setup.device):
        model: LayeredModel = load_bert(folder, model_class=setup.objective.model_class)
        if model.config.vocab_size != what.model.vocabulary:
            raise CheckpointError(
                f"{folder}: a model of {model.config.vocab_size} tokens, the experiment has {what.model.vocabulary}"
            )
        return analyse(model.to(setup.device), _sample(setup, sequences))


def _sample(setup: Setup, sequences: int) -> HeldOutSample:
    size = None if setup.fit is None else setup.fit.size
    return HeldOutSample.of(setup.objective, setup.held_out("validation", sequences), setup.device, size)


def _record(run: Path, step: int, found: LayerAnalysis) -> None:
    folder = run / ANALYSIS
    folder.mkdir(exist_ok=True)
    with held(folder / ".lock"):
        log = RunWriter(folder / EVENTS)
        try:
            log.emit(RunAnalysed(step, found=found.record()), durable=True)
        finally:
            log.close()
