"""`evaluate --glue-files`: a run's scores, the server's files, and which of them are missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pld_search.app.run_files import write_run
from pld_search.specs.experiment import Experiment
from pld_search.training.train_run import train
from tests.cli.conftest import Call
from tests.training.conftest import execution, experiment, prepared  # noqa: F401  # fixtures
from tests.training.test_glue_predictions import glue  # noqa: F401  # a fixture

Builder = Callable[..., Any]


def test_a_run_is_scored_and_the_servers_files_are_written(
    call: Call,
    tmp_path: Path,
    glue: tuple[Experiment, Any, Path],  # noqa: F811
) -> None:
    what, how, folder = glue
    run = tmp_path / "run"
    write_run(run, what, how)
    final = train(what, how, run).final
    (tmp_path / "machine.yaml").write_text(f"tasks: {{glue: {folder}}}\n")
    done = call("evaluate", run, "--glue-files", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["glue/cola/mcc"] == final["glue/cola/mcc"]
    files = ["AX.tsv", "CoLA.tsv", "MNLI-m.tsv", "MNLI-mm.tsv"]
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == files
    assert all(f"out/{file}\n" in done.stderr for file in files)
    missing = "MRPC.tsv, QNLI.tsv, QQP.tsv, RTE.tsv, SST-2.tsv, STS-B.tsv, WNLI.tsv"
    assert done.stderr.endswith(f"GLUE's server takes all of its files in one zip; missing: {missing}\n")
    for file in folder.glob("*/test*.tsv"):
        file.unlink()
    (folder / "diagnostic" / "diagnostic.tsv").unlink()
    refused = call("evaluate", run, "--glue-files", tmp_path / "none")
    assert refused.exit_code == 2
    assert "no test set of the experiment's GLUE tasks is there" in refused.stderr
    assert not (tmp_path / "none").exists()
