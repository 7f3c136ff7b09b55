"""Files for GLUE's server: each task's best fine-tuning, chosen on its dev set, predicts the test sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pld_search.data.glue_server import ServerTable, file_text
from pld_search.host.disk import write_atomically
from pld_search.host.signals import StopRequest
from pld_search.model.layered_model import LayeredModel
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment, Task
from pld_search.training.device import compute_settings
from pld_search.training.evaluation import finetune_once, pretrained_model
from pld_search.training.finetune import Finetuning
from pld_search.training.setup import Setup, open_setup


def write_glue_files(
    experiment: Experiment,
    execution: Execution,
    checkpoint: Path,
    out: Path,
    into: Path,
    tables: Mapping[str, Sequence[ServerTable]],
) -> list[Path]:
    """Writes a file for the server into the folder `into` for every test set in `tables` (by GLUE task). Returns the
    files.

    Fine-tunings are recorded under `out`, as in `evaluate_checkpoint`. The fine-tuning with the best mean of dev
    metrics (over rates and repeats; the first of equal ones) is trained once more and predicts. Raises ConfigError,
    DataError, CheckpointError, Interrupted.
    """
    setup = open_setup(experiment, execution)
    tasks = [task for task in experiment.evaluation.tasks if task.suite == "glue" and tables.get(task.name)]
    written = []
    with compute_settings(execution, setup.device), StopRequest() as stop:
        model = pretrained_model(setup, checkpoint)
        for task in tasks:
            tuning, number = Finetuning(setup, task, model), _best(setup, task, model, out, stop)
            tuned = tuning.tune(number, None, stop)
            for table in tables[task.name]:
                text = file_text(task.name, table, tuning.predict(tuned, list(table.examples)))
                write_atomically(into / table.file, text)
                written.append(into / table.file)
    return written


def _best(setup: Setup, task: Task, pretrained: LayeredModel, out: Path, stop: StopRequest) -> int:
    """Returns the number of the fine-tuning with the best mean of its dev metrics."""
    evaluation = setup.experiment.evaluation
    numbers = range(evaluation.seeds * len(evaluation.rates))
    scores = [finetune_once(setup, task, pretrained, number, out, stop)[0] for number in numbers]
    return int(np.argmax([np.mean(list(each.values())) for each in scores]))
