"""Two and four gloo ranks against one process: the same losses, the same decisions, checkpoints that any number takes
up.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from pld_search.costs.memory import memory_of
from pld_search.model.build_model import load_bert
from pld_search.records import jsonl
from pld_search.records.run_record import RunRecord, branch_folder, fold_run
from pld_search.specs.experiment import Divergence, Experiment
from pld_search.specs.growth import Growth
from pld_search.training import checkpoint
from pld_search.training.branch import branch
from pld_search.training.evaluation import evaluate_checkpoint
from pld_search.training.train_run import train
from tests.small_disk import needed, small_disk
from tests.training.faults import Fault, inject
from tests.training.rank_bench import STEPS, Bench, Builder, assert_close, losses
from tests.training.rank_runs import settings

pytestmark = pytest.mark.timeout(600)

LONG = 40
SCALE = (2.0**22, 5)
SICK = (6, 10**9)
ROOM = (200_000, 500_000)  # of about 700 kB that a checkpoint takes: a third is the model
TUNED = {"epochs": 1, "length": 24, "seeds": 2}
ROWS = {"draw": {"kind": "bernoulli", "per": "sequence", "unit": "sublayer", "strata": 2}}
MUON = {"kind": "muon", "lr": 0.01, "adamw": {"lr": 1e-3}}
GROWTH = Growth.model_validate({"stages": {"0 %": 3, "50 %": 6}, "weights": "stack", "moments": "copy"})


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, experiment: Builder, execution: Builder) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("two"), experiment, execution)
    add_losses(bench)
    add_resumes(bench)
    add_recomputed(bench)
    add_troubles(bench)
    add_recoveries(bench)
    with small_disk(bench.folder / "disk", "8m") as disk:
        bench.disk = disk
        if disk is not None:
            add_full_disk(bench, disk)
        bench.add("tasks", bench.spec(4, tasks=True, evaluation=TUNED), bench.how(mode="replicate"))
        bench.run(2)
        yield bench


def add_losses(bench: Bench) -> None:
    shard, replicate = {"mode": "shard"}, {"mode": "replicate"}
    bench.add("shard", bench.spec(LONG), bench.how(**shard, micro_batch=2))
    bench.add("replicate", bench.spec(LONG), bench.how(**replicate))
    bench.add("fp16", bench.spec(precision="fp16"), bench.how(**shard), scale=SCALE)
    bench.add("fp16 replicate", bench.spec(precision="fp16"), bench.how(**replicate), scale=SCALE)
    for treatment in ("decay", "zero_grad"):
        bench.add(treatment, bench.spec(draws={"skipped": treatment}), bench.how(**shard))
    bench.add("muon", bench.spec(optimizer=MUON), bench.how(**replicate))
    bench.add("muon cut 1", bench.spec(optimizer=MUON), bench.how(**replicate), out="muon cut", until=7)
    bench.add("muon cut", bench.spec(optimizer=MUON), bench.how(**replicate))
    bench.add("muon to one", bench.spec(optimizer=MUON), bench.how(**replicate), until=7)
    bench.add("rows", bench.spec(draws=ROWS), bench.how(**shard))
    bench.add("growth", bench.spec(growth=GROWTH), bench.how(**shard))


def dropping(bench: Bench) -> Experiment:
    """With dropout, which depends on how a batch is cut."""
    return bench.spec(model={"layers": 6, "hidden": 32, "heads": 2, "intermediate": 64})


def add_resumes(bench: Bench) -> None:
    """Paused after 7 steps, and continued by the same ranks, in the other mode, and by other numbers of ranks."""
    shard, replicate = {"mode": "shard"}, {"mode": "replicate"}
    bench.add("straight", dropping(bench), bench.how(**shard, micro_batch=2))
    bench.add("cut 1", dropping(bench), bench.how(**shard, micro_batch=2), out="cut", until=7)
    bench.add("cut 2", dropping(bench), bench.how(**shard, micro_batch=2), out="cut")
    bench.add("to one", bench.spec(), bench.how(**shard), until=7)
    train(bench.spec(), bench.how(), bench.folder / "from one", until=7)
    bench.add("from one", bench.spec(), bench.how(**replicate))
    for first, then in ((shard, replicate), (replicate, shard)):
        name = f"{first['mode']} to {then['mode']}"
        bench.add(f"{name} 1", bench.spec(), bench.how(**first), out=name, until=7)
        bench.add(name, bench.spec(), bench.how(**then))
    bench.add("to four", bench.spec(), bench.how(**shard), until=7)


def add_recomputed(bench: Bench) -> None:
    shard, replicate = {"mode": "shard"}, {"mode": "replicate"}
    bench.add("recomputed", dropping(bench), bench.how(**shard, micro_batch=2, activation_checkpointing="blocks"))
    bench.add(
        "recomputed replicate", dropping(bench), bench.how(**replicate, micro_batch=2, activation_checkpointing=2)
    )
    bench.add("recomputed rows", bench.spec(draws=ROWS), bench.how(**shard, activation_checkpointing="blocks"))
    bench.add("recomputed growth", bench.spec(growth=GROWTH), bench.how(**shard, activation_checkpointing="blocks"))
    spec, auto = bench.spec(), bench.how(**replicate, micro_batch="auto")
    bench.add("auto", spec, auto, room=[memory_of(spec, auto, size, 2).needed("cpu") for size in (4, 2)])


def add_troubles(bench: Bench) -> None:
    shard, replicate = {"mode": "shard"}, {"mode": "replicate"}
    bench.add("seeds", bench.spec(), bench.how(**shard), seeds=[0, 1])
    bench.add("nan", bench.spec(40), bench.how(**shard), nan=[1, 4])
    bench.add("slow", bench.spec(4), bench.how(**replicate), slow=[1, 0.1])
    bench.add("odd", bench.experiment(**settings(steps=4, batch={"sequences": 6, "groups": 2})), bench.how(**shard))
    (bench.folder / "unwritable").mkdir()
    (bench.folder / "unwritable" / "checkpoints").write_text("")
    bench.add("unwritable", bench.spec(4), bench.how(**replicate))


def recovering(bench: Bench, policy: str, precision: str = "fp32") -> Experiment:
    optimizer = {"shape": "wsd", "warmup": "10 %", "decay": "50 %"}
    return bench.spec(
        24, on_divergence=policy, divergence=Divergence(nonfinite_steps=3), precision=precision, optimizer=optimizer
    )


def add_recoveries(bench: Bench) -> None:
    """One rank alone is bad from step 7 on; the good checkpoint is that of step 5. The first run pauses at 12, and a
    branch leaves it.
    """
    how = bench.how(mode="shard", checkpoint_every=5)
    bench.add("lower_lr 1", recovering(bench, "lower_lr"), how, out="lower_lr", until=12, nan=[1, *SICK, "lower_lr"])
    bench.add("branch", recovering(bench, "lower_lr"), how, out="lower_lr", branch=12)
    bench.add("lower_lr", recovering(bench, "lower_lr"), how, nan=[1, *SICK, "lower_lr"])
    bench.add(
        "continue_in_fp32",
        recovering(bench, "continue_in_fp32", "bf16"),
        bench.how(mode="replicate", checkpoint_every=5),
        nan=[1, *SICK, "fp32"],
    )


def add_full_disk(bench: Bench, disk: Path) -> None:
    """A checkpoint of step 4; then no room for the part of a rank, no room for the model, and room again."""
    spec, how, out = bench.spec(), bench.how(mode="shard", checkpoint_every=4), f"{disk.name}/run"
    bench.add("disk 1", spec, how, out=out, until=4)
    for name, free in (("disk moments", ROOM[0]), ("disk model", ROOM[1]), ("disk 2", 10**9)):
        bench.add(name, spec, how, out=out, leave=[str(disk), free])


@pytest.mark.parametrize("mode", ["shard", "replicate"])
def test_two_ranks_have_the_losses_of_one(two: Bench, mode: str) -> None:
    alone = two.alone("alone", two.spec(LONG)) if two.record("alone").state == "new" else two.record("alone")
    assert len(losses(alone)) == LONG
    assert_close(alone, two.record(mode))


def test_the_same_ranks_go_on_bit_by_bit(two: Bench) -> None:
    cut, straight = two.record("cut"), two.record("straight")
    assert cut.resumed_from == [7]
    assert {name: points for name, points in cut.series.items() if name != "valid/loss"} == {
        name: points for name, points in straight.series.items() if name != "valid/loss"
    }
    first, second = (
        load_file(two.folder / name / "checkpoints" / f"step-{STEPS:08d}" / "model.safetensors")
        for name in ("cut", "straight")
    )
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


@pytest.mark.parametrize(
    ("name", "modes"), [("shard to replicate", ["shard", "replicate"]), ("replicate to shard", ["replicate", "shard"])]
)
def test_each_mode_takes_up_the_others_checkpoints(two: Bench, name: str, modes: list[str]) -> None:
    record = two.record(name)
    assert record.resumed_from == [7]
    assert losses(record) == pytest.approx(losses(two.alone("straight alone", two.spec())), abs=1e-5)
    (resumed,) = [event for event in jsonl.read(two.folder / name / "events.jsonl") if event["event"] == "resumed"]
    assert resumed["changed"] == {"mode": modes}


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


def told(record: RunRecord) -> list[tuple[Any, ...]]:
    names = ("from_step", "policy", "kind", "first_bad_step", "noticed", "precision", "lr_factor", "count")
    return [tuple(getattr(event, name) for name in names) for event in record.recoveries]


def test_a_rank_that_breaks_takes_all_back_and_they_go_on_with_less_lr(
    two: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one process does that breaks at the same step; a branch that left on the way has the lower rate too."""
    spec, how = recovering(two, "lower_lr"), two.how(checkpoint_every=5)
    inject(monkeypatch.setattr, Fault("nan", *SICK, "lower_lr"))
    train(spec, how, two.folder / "lower_lr alone", until=12)
    aside = branch(spec, how, two.folder / "lower_lr alone", 12)
    alone = train(spec, how, two.folder / "lower_lr alone")
    assert told(alone) == told(two.record("lower_lr")) == [(5, "lower_lr", "nonfinite_loss", 7, 9, "fp32", 0.5, 1)]
    assert_close(alone, two.record("lower_lr"), names=("train/loss", "train/lr", "valid/loss"))
    assert_close(
        aside, fold_run(branch_folder(two.folder / "lower_lr", 12)), names=("train/loss", "train/lr", "valid/loss")
    )


def test_ranks_go_on_in_fp32(two: Bench) -> None:
    """One process is no reference: bf16 rounds otherwise what is cut otherwise."""
    record = two.record("continue_in_fp32")
    assert told(record) == [(5, "continue_in_fp32", "nonfinite_loss", 7, 9, "fp32", 1.0, 1)]
    assert (record.state, record.executed_steps, len(losses(record))) == ("finished", 24 + 4, 24)


@pytest.mark.parametrize("treatment", ["decay", "zero_grad"])
def test_what_no_group_kept(two: Bench, treatment: str) -> None:
    assert_close(two.alone(f"{treatment} alone", two.spec(draws={"skipped": treatment})), two.record(treatment))


def test_muon_on_ranks(two: Bench) -> None:
    """Newton-Schulz in bf16 rounds what rounding has made different: ranks are a little less close than with AdamW."""
    alone = two.alone("muon alone", two.spec(optimizer=MUON))
    assert_close(alone, two.record("muon"), tolerance=2e-4)
    resumed = two.alone("muon to one", two.spec(optimizer=MUON))
    assert resumed.resumed_from == two.record("muon cut").resumed_from == [7]
    assert losses(resumed) == pytest.approx(losses(alone), abs=1e-4)
    assert two.record("muon cut").series["train/loss"] == two.record("muon").series["train/loss"]


def test_rows_and_halves(two: Bench) -> None:
    assert_close(two.alone("rows alone", two.spec(draws=ROWS)), two.record("rows"))


def test_a_model_that_grows(two: Bench) -> None:
    assert_close(two.alone("growth alone", two.spec(growth=GROWTH)), two.record("growth"))


@pytest.mark.parametrize(
    ("name", "other"), [("recomputed", "straight"), ("recomputed rows", "rows"), ("recomputed growth", "growth")]
)
def test_recomputed_blocks_change_no_bit_of_sharded_runs(two: Bench, name: str, other: str) -> None:
    one, same = two.record(name), two.record(other)
    assert one.state == "finished"
    assert one.series == same.series


def test_replicas_recompute_too(two: Bench) -> None:
    assert_close(two.record("straight"), two.record("recomputed replicate"))


def test_seconds_are_those_of_the_slowest_rank(two: Bench) -> None:
    assert two.record("slow").final["progress/seconds"] >= 4 * 0.1


def test_ranks_agree_on_the_smallest_micro_batch(two: Bench) -> None:
    assert two.record("auto").started.micro_batch["size"] == 2
    assert_close(two.alone("auto alone", two.spec()), two.record("auto"))


def test_what_ranks_do_not_divide_is_refused(two: Bench) -> None:
    for rank in two.found:
        assert rank["odd"]["code"] == 2
        assert "2 groups x 2 ranks do not divide the batch; allowed: a multiple of 4; given: 6" in rank["odd"]["error"]


def test_no_rank_waits_for_one_that_cannot_write(two: Bench) -> None:
    for rank in two.found:
        assert "checkpoint of step 4 could not be written" in rank["unwritable"]["error"]
        assert rank["unwritable"]["code"] == 1


@pytest.mark.parametrize("stage", ["moments", "model"])
def test_a_full_disk_ends_all_ranks_with_one_line(two: Bench, stage: str) -> None:
    needed(two.disk)
    for rank in two.found:
        assert rank[f"disk {stage}"]["code"] == 1
        assert "checkpoint of step 8 could not be written" in rank[f"disk {stage}"]["error"]
        assert "No space left on device" in rank[f"disk {stage}"]["error"]
        assert "\n" not in rank[f"disk {stage}"]["error"]


def test_after_a_full_disk_the_run_goes_on_from_its_last_checkpoint(two: Bench) -> None:
    record = fold_run(needed(two.disk) / "run")
    assert record.resumed_from == [4, 4, 4]
    assert losses(record) == pytest.approx(losses(two.alone("straight alone", two.spec())), abs=1e-5)
    assert not list((two.folder / "disk" / "run" / "checkpoints").glob(".*"))


def test_fine_tuning_is_dealt_out_and_scores_as_one_process_would(two: Bench, tmp_path: Path) -> None:
    """The reference takes the checkpoint of the last step and does every task and repeat alone."""
    record = two.record("tasks")
    saved = checkpoint.latest(two.folder / "tasks" / "checkpoints")
    assert record.state == "finished" and saved is not None
    spec = two.spec(4, tasks=True, evaluation=TUNED)
    alone = evaluate_checkpoint(spec, two.how(), saved.folder, tmp_path)
    scores = {name: value for name, value in alone.items() if name.startswith("task/")}
    assert len(scores) >= 4
    assert {name: record.final[name] for name in scores} == scores
    assert [rank["tasks"]["tuned"] for rank in two.found] == [3, 3]


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory, experiment: Builder, execution: Builder, two: Bench) -> Bench:
    bench = Bench(tmp_path_factory.mktemp("four"), experiment, execution)
    bench.add("from two", bench.spec(), bench.how(mode="replicate"), out=str(two.folder / "to four"), until=14)
    bench.add("shard", bench.spec(), bench.how(mode="shard"))
    bench.add("replicate", bench.spec(), bench.how(mode="replicate", micro_batch=1))
    bench.run(4)
    return bench


def test_four_ranks(four: Bench) -> None:
    alone = four.alone("alone", four.spec())
    assert_close(alone, four.record("shard"))
    assert_close(alone, four.record("replicate"))


def test_two_then_four_then_one(two: Bench, four: Bench) -> None:
    assert four.found[3]["from two"] == {"state": "paused", "step": 14, "tuned": 0}
    record = two.alone("to four", two.spec())
    assert record.resumed_from == [7, 14]
    assert losses(record) == pytest.approx(losses(two.alone("straight alone", two.spec())), abs=1e-5)
    resumed = [
        event["changed"] for event in jsonl.read(two.folder / "to four" / "events.jsonl") if event["event"] == "resumed"
    ]
    assert [changed["ranks"] for changed in resumed] == [[2, 4], [4, 1]]
