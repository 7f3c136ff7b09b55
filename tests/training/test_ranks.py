"""Two and four gloo ranks against one process: the same losses, the same decisions, checkpoints that any number takes up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from pld_search.model.build import load_bert
from pld_search.records import jsonl
from pld_search.records.run import RunRecord, fold_run
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.specs.growth import Growth
from pld_search.training import checkpoint
from pld_search.training.run import train
from tests.training.rank_runs import code_of, settings, torchrun

pytestmark = pytest.mark.timeout(600)

Builder = Callable[..., Any]
STEPS = 20
BATCH = {"sequences": 16, "groups": 2}
SCALE = (2.0**22, 5)
ROWS = {"draw": {"kind": "bernoulli", "per": "sequence", "unit": "sublayer", "strata": 2}}
GROWTH = Growth.model_validate({"stages": {"0 %": 3, "50 %": 6}, "weights": "stack", "moments": "copy"})


class Bench:
    """Jobs for a number of ranks, and the same runs in this process."""

    def __init__(self, folder: Path, experiment: Builder, execution: Builder) -> None:
        self.folder, self.experiment, self.execution = folder, experiment, execution
        self.jobs: dict[str, dict[str, Any]] = {}
        self.found: list[dict[str, Any]] = []

    def spec(self, steps: int = STEPS, draws: dict[str, Any] | None = None, **changes: Any) -> Experiment:
        """`draws` changes the schedule."""
        made: Experiment = self.experiment(**{**settings(steps=steps, batch=BATCH), **changes})
        written = made.model_dump(mode="json")
        return Experiment.model_validate({**written, "schedule": {**written["schedule"], **(draws or {})}})

    def how(self, **changes: Any) -> Execution:
        made: Execution = self.execution(**{"log_points": 1000, "speed_probes": 0, **changes})
        return made

    def add(self, name: str, spec: Experiment, how: Execution, out: str | None = None, **more: Any) -> None:
        files = {"experiment": spec.model_dump(mode="json"), "execution": how.model_dump(mode="json")}
        self.jobs[name] = {**files, "out": str(self.folder / (out or name)), **more}

    def run(self, ranks: int) -> None:
        file = self.folder / f"jobs-{ranks}.json"
        file.write_text(json.dumps(self.jobs))
        log = self.folder / f"log-{ranks}"
        assert code_of([*torchrun(ranks), "-m", "tests.training.rank_worker", str(file)], log) == 0, log.read_text()[-6000:]
        self.found = [json.loads(file.with_suffix(f".{rank}").read_text()) for rank in range(ranks)]
        self.jobs = {}

    def alone(self, name: str, spec: Experiment, how: Execution | None = None) -> RunRecord:
        return train(spec, how or self.how(), self.folder / name)

    def record(self, name: str) -> RunRecord:
        return fold_run(self.folder / name)


def losses(record: RunRecord) -> list[float]:
    return [value for _, value in record.series["train/loss"]]


def assert_close(one: RunRecord, other: RunRecord, tolerance: float = 1e-5) -> None:
    assert (one.state, other.state) == ("finished", "finished")
    assert len(losses(one)) == one.step
    for name in ("train/loss", "train/grad_norm", "valid/loss", "test/loss"):
        assert [value for _, value in one.series[name]] == pytest.approx([value for _, value in other.series[name]], abs=tolerance), name


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, experiment: Builder, execution: Builder) -> Bench:
    bench = Bench(tmp_path_factory.mktemp("two"), experiment, execution)
    shard, replicate = {"mode": "shard"}, {"mode": "replicate"}
    bench.add("shard", bench.spec(100), bench.how(**shard, micro_batch=2))
    bench.add("replicate", bench.spec(100), bench.how(**replicate))
    dropping = bench.spec(model={"layers": 6, "hidden": 32, "heads": 2, "intermediate": 64})
    bench.add("straight", dropping, bench.how(**shard, micro_batch=2))
    bench.add("cut 1", dropping, bench.how(**shard, micro_batch=2), out="cut", until=7)
    bench.add("cut 2", dropping, bench.how(**shard, micro_batch=2), out="cut")
    bench.add("to one", bench.spec(), bench.how(**shard), until=7)
    train(bench.spec(), bench.how(), bench.folder / "from one", until=7)
    bench.add("from one", bench.spec(), bench.how(**replicate))
    bench.add("seeds", bench.spec(), bench.how(**shard), seeds=[0, 1])
    bench.add("fp16", bench.spec(precision="fp16"), bench.how(**shard), scale=SCALE)
    bench.add("fp16 replicate", bench.spec(precision="fp16"), bench.how(**replicate), scale=SCALE)
    bench.add("nan", bench.spec(40), bench.how(**shard), nan=[1, 4])
    for treatment in ("decay", "zero_grad"):
        bench.add(treatment, bench.spec(draws={"skipped": treatment}), bench.how(**shard))
    bench.add("rows", bench.spec(draws=ROWS), bench.how(**shard))
    bench.add("growth", bench.spec(growth=GROWTH), bench.how(**shard))
    bench.add("recomputed", dropping, bench.how(**shard, micro_batch=2, activation_checkpointing="blocks"))
    bench.add("recomputed replicate", dropping, bench.how(**replicate, micro_batch=2, activation_checkpointing=2))
    bench.add("recomputed rows", bench.spec(draws=ROWS), bench.how(**shard, activation_checkpointing="blocks"))
    bench.add("recomputed growth", bench.spec(growth=GROWTH), bench.how(**shard, activation_checkpointing="blocks"))
    bench.add("odd", bench.experiment(**settings(steps=4, batch={"sequences": 6, "groups": 2})), bench.how(**shard))
    (bench.folder / "unwritable").mkdir()
    (bench.folder / "unwritable" / "checkpoints").write_text("")
    bench.add("unwritable", bench.spec(4), bench.how(**replicate))
    bench.run(2)
    return bench


@pytest.mark.parametrize("mode", ["shard", "replicate"])
def test_two_ranks_have_the_losses_of_one(two: Bench, mode: str) -> None:
    alone = two.alone("alone", two.spec(100)) if two.record("alone").state == "new" else two.record("alone")
    assert len(losses(alone)) == 100
    assert_close(alone, two.record(mode))


def test_the_same_ranks_go_on_bit_by_bit(two: Bench) -> None:
    cut, straight = two.record("cut"), two.record("straight")
    assert cut.resumed_from == [7]
    assert {name: points for name, points in cut.series.items() if name != "valid/loss"} == {
        name: points for name, points in straight.series.items() if name != "valid/loss"
    }
    first, second = (load_file(two.folder / name / "checkpoints" / f"step-{STEPS:08d}" / "model.safetensors") for name in ("cut", "straight"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_ranks_and_one_process_take_up_each_others_checkpoints(two: Bench) -> None:
    straight = two.alone("straight alone", two.spec())
    finished = two.alone("to one", two.spec())
    for name, record in (("to one", finished), ("from one", two.record("from one"))):
        assert record.resumed_from == [7]
        assert losses(record) == pytest.approx(losses(straight), abs=1e-5)
        resumed = [event for event in jsonl.read(two.folder / name / "events.jsonl") if event["event"] == "resumed"]
        assert resumed[-1]["changed"]["ranks"] == ([2, 1] if name == "to one" else [1, 2])


def test_a_checkpoint_of_ranks_holds_the_model_in_its_usual_form(two: Bench) -> None:
    saved = checkpoint.latest(two.folder / "shard" / "checkpoints")
    assert saved is not None
    assert len(list((saved.folder / "optimizer").iterdir())) == 2
    assert sum(parameter.numel() for parameter in load_bert(saved.folder).parameters()) > 10_000


def test_ranks_with_other_seeds_are_refused_everywhere(two: Bench) -> None:
    for rank in two.found:
        assert rank["seeds"]["code"] == 2
        assert "seed: rank 1 differs from rank 0; nothing was trained; allowed: 0; given: 1" in rank["seeds"]["error"]
        assert "plan: rank 1 differs" in rank["seeds"]["error"]
    assert not (two.folder / "seeds" / "events.jsonl").exists()


def test_the_loss_scaler_decides_for_all(two: Bench) -> None:
    """Which step overflows depends on how the batch is cut, so one process is no reference; both modes cut alike."""
    shard, replicate = two.record("fp16"), two.record("fp16 replicate")
    assert shard.final["divergence/skipped_steps"] == replicate.final["divergence/skipped_steps"] > 0
    assert_close(shard, replicate, tolerance=1e-3)


def test_a_rank_that_breaks_ends_the_run_of_all_at_one_step(two: Bench) -> None:
    assert two.found[0]["nan"] == two.found[1]["nan"]
    assert two.record("nan").state == "diverged"
    (ended,) = [event for event in jsonl.read(two.folder / "nan" / "events.jsonl") if event["event"] == "diverged"]
    assert ended["first_bad_step"] == 5


@pytest.mark.parametrize("treatment", ["decay", "zero_grad"])
def test_what_no_group_kept(two: Bench, treatment: str) -> None:
    assert_close(two.alone(f"{treatment} alone", two.spec(draws={"skipped": treatment})), two.record(treatment))


def test_rows_and_halves(two: Bench) -> None:
    assert_close(two.alone("rows alone", two.spec(draws=ROWS)), two.record("rows"))


def test_a_model_that_grows(two: Bench) -> None:
    assert_close(two.alone("growth alone", two.spec(growth=GROWTH)), two.record("growth"))


@pytest.mark.parametrize(("name", "other"), [("recomputed", "straight"), ("recomputed rows", "rows"), ("recomputed growth", "growth")])
def test_recomputed_blocks_change_no_bit_of_sharded_runs(two: Bench, name: str, other: str) -> None:
    one, same = two.record(name), two.record(other)
    assert one.state == "finished"
    assert one.series == same.series


def test_replicas_recompute_too(two: Bench) -> None:
    assert_close(two.record("straight"), two.record("recomputed replicate"))


def test_what_ranks_do_not_divide_is_refused(two: Bench) -> None:
    for rank in two.found:
        assert rank["odd"]["code"] == 2
        assert "2 groups x 2 ranks do not divide the batch; allowed: a multiple of 4; given: 6" in rank["odd"]["error"]


def test_no_rank_waits_for_one_that_cannot_write(two: Bench) -> None:
    for rank in two.found:
        assert "checkpoint of step 4 could not be written" in rank["unwritable"]["error"]
        assert rank["unwritable"]["code"] == 1


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory, experiment: Builder, execution: Builder) -> Bench:
    bench = Bench(tmp_path_factory.mktemp("four"), experiment, execution)
    bench.add("shard", bench.spec(), bench.how(mode="shard"))
    bench.add("replicate", bench.spec(), bench.how(mode="replicate", micro_batch=1))
    bench.run(4)
    return bench


def test_four_ranks(four: Bench) -> None:
    alone = four.alone("alone", four.spec())
    assert_close(alone, four.record("shard"))
    assert_close(alone, four.record("replicate"))
