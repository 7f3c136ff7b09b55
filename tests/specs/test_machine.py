"""machine.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.errors import ConfigError
from pld_search.specs.execution import Execution
from pld_search.specs.machine import Machine, load_machine


def test_defaults_without_a_file() -> None:
    assert load_machine(None) == Machine()


def test_folders_start_where_they_are_said(tmp_path: Path) -> None:
    file = tmp_path / "machine.yaml"
    file.write_text("slots: 3\nruns: ./studies\ncorpora: {wiki: data/wiki, far: /far}\ntasks.glue: glue\n")
    machine = load_machine(file, ["corpora.near=near", "cache=c"])
    assert machine.slots == 3
    assert machine.runs == str(tmp_path / "studies")
    assert machine.cache == "c"
    assert machine.places == {
        "wiki": str(tmp_path / "data/wiki"),
        "far": "/far",
        "near": "near",
        "glue": str(tmp_path / "glue"),
    }


def test_flags_beat_the_file(tmp_path: Path) -> None:
    file = tmp_path / "machine.yaml"
    file.write_text("slots: 3\nthreads: 2\n")
    assert load_machine(file, ["slots=1"]).slots == 1
    assert load_machine(file, ["slots=1"]).threads == 2


def test_problems_name_the_file_or_the_flag(tmp_path: Path) -> None:
    file = tmp_path / "machine.yaml"
    file.write_text("gpus: 3\nthreads: 0\n")
    with pytest.raises(ConfigError) as caught:
        load_machine(file, ["device=tpu"])
    texts = [str(problem) for problem in caught.value.problems]
    assert any("--set:1:8: device: this word is not allowed" in text for text in texts)
    assert any("machine.yaml:1:1: gpus: unknown key" in text and text.endswith("did you mean slots?") for text in texts)
    assert any("machine.yaml:2:10: threads: out of range" in text for text in texts)


def test_every_field_reaches_the_execution_or_the_coordinator() -> None:
    changed = {
        "micro_batch": "auto",
        "memory_gb": 2.5,
        "activation_checkpointing": "blocks",
        "compile": True,
        "deterministic": False,
        "checkpoint_every": 5,
        "checkpoint_seconds": 1.0,
        "keep_checkpoints": 9,
        "log_points": 7,
        "speed_probes": 0,
    }
    execution = Machine(**changed).execution("cuda:1", 3, {"sha256:" + "0" * 64: "/x"})
    assert {name: getattr(execution, name) for name in changed} == changed
    assert (execution.device, execution.threads) == ("cuda:1", 3)
    assert Machine(threads=2).execution("cpu", 3, {}).threads == 2
    # a study says `analysis`, not a machine
    rest = {"device", "threads", "mode", "sharing", "folders", "analysis"}
    assert set(Execution.model_fields) - set(changed) == rest


def test_a_cluster_is_described_whole(tmp_path: Path) -> None:
    file = tmp_path / "machine.yaml"
    file.write_text("launcher: ray\nslots: 4\ndevice: cuda\nray: {address: head:6379, cpus_per_rank: 4}\n")
    machine = load_machine(file)
    assert machine.ray is not None
    assert (machine.ray.address, machine.ray.cpus_per_rank, machine.ray.resources) == ("head:6379", 4, {})
    assert load_machine(None, ["launcher=ray", "slots=2", "device=cpu"]).ray is None  # the defaults


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("launcher: ray\n", ("needs slots", "needs a device")),
        ("ray: {address: auto}\n", ("ray: these settings belong to launcher `ray`, not to `local`",)),
        ("launcher: ray\nslots: 1\ndevice: cpu\nslurm: {options: [partition]}\n", ("slurm.options",)),
        ("launcher: slurm\nray: {}\n", ("launcher `slurm` needs slots", "needs a device", "not to `slurm`")),
        (
            "launcher: slurm\nslots: 1\ndevice: cpu\nslurm: {options: [--job-name=mine]}\n",
            ("machine.yaml:4", "slurm.options", "sets --job-name=mine itself"),
        ),
        (
            "launcher: ray\nslots: 1\ndevice: cpu\ngpus_per_run: 3\nray: {nodes: 2}\n",
            ("machine.yaml:5", "ray.nodes", "3 ranks", "each of 2 nodes"),
        ),
        ("launcher: rya\nslots: 1\n", ("machine.yaml:1", "ray")),
        (
            "launcher: ray\nslots: 1\ndevice: cpu\nray: {cpus_per_rank: 0, adress: x}\n",
            ("machine.yaml:4", "ray.cpus_per_rank", "adress", "address"),
        ),
        ("launcher: ray\nslots: 1\ndevice: cpu\nray: {resources: {a100: -1}}\n", ("ray.resources.a100",)),
    ],
)
def test_a_cluster_described_wrongly(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    file = tmp_path / "machine.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_machine(file)
    found = "\n".join(str(problem) for problem in caught.value.problems)
    for word in words:
        assert word in found
