"""Runs that diverge on purpose end as their policy says: stopped, in fp32, or with less lr; at the price that is
recorded.
"""

from __future__ import annotations

import math
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pld_search.records import jsonl
from pld_search.records.events import RunRecovered
from pld_search.records.run_record import RunRecord, fold_run
from pld_search.specs.experiment import Divergence
from pld_search.specs.growth import Growth
from pld_search.training import checkpoint, precision
from pld_search.training.branch import branch
from pld_search.training.recovery import Course, course_at, next_course
from pld_search.training.train_run import train
from tests.training.faults import Fault, inject
from tests.training.random_kills import kill_at_random
from tests.training.test_resume import run_child
from tests.training.test_train_run import events, fail_at, final_weights

Builder = Callable[..., Any]
SMALL = {"layers": 3, "hidden": 16, "heads": 2, "intermediate": 32}
RULES = {"nonfinite_steps": 3, "spike": 2.0, "spike_steps": 3, "min_loss_scale": 8192.0}
T, EVERY = 24, 5
LATE = {"every": "100 %", "sequences": 16}


@pytest.fixture
def build(experiment: Builder) -> Builder:
    def built(policy: str, kind: str = "fp32", **rules: Any) -> Any:
        optimizer = {"shape": "wsd", "warmup": "10 %", "decay": "50 %"}
        return experiment(
            steps=T,
            model=SMALL,
            precision=kind,
            on_divergence=policy,
            divergence=Divergence(**RULES, **rules),
            optimizer=optimizer,
        )

    return built


@pytest.fixture
def how(execution: Builder) -> Any:
    return execution(checkpoint_every=EVERY, log_points=T)


def recoveries(out: Path) -> list[dict[str, Any]]:
    """Every recovery of a run, superseded or not."""
    return [event for event in events(out) if event["event"] == "recovered"]


# Each kind of fault, by each policy


@pytest.mark.parametrize(
    ("fault", "precision", "kind", "noticed"),
    [
        ("nan", "fp16", "nonfinite_loss", 15),
        ("inf", "fp16", "nonfinite_loss", 15),
        ("overflow", "fp16", "loss_scale", 16),
        ("nan", "bf16", "nonfinite_loss", 15),
    ],
)
def test_by_each_policy(
    build: Builder,
    how: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    precision: str,
    kind: str,
    noticed: int,
) -> None:
    """Bad from step 13 on; good is the checkpoint of step 10; the price are the steps from there to the notice."""
    inject(monkeypatch.setattr, Fault(fault, 12, cured="fp32"))
    stopped = train(build("stop", precision), how, tmp_path / "stop")
    assert (stopped.state, stopped.kind, stopped.step, stopped.final["divergence/first_bad_step"]) == (
        "diverged",
        kind,
        noticed,
        13.0,
    )

    on = train(build("continue_in_fp32", precision), how, tmp_path / "on")
    assert (on.state, on.step, on.executed_steps) == ("finished", T, T + noticed - 10)
    (event,) = on.recoveries
    told = {
        key: getattr(event, key)
        for key in (
            "policy",
            "step",
            "from_step",
            "kind",
            "first_bad_step",
            "noticed",
            "precision",
            "lr_factor",
            "count",
        )
    }
    assert told == {
        "policy": "continue_in_fp32",
        "step": 10,
        "from_step": 10,
        "kind": kind,
        "first_bad_step": 13,
        "noticed": noticed,
        "precision": "fp32",
        "lr_factor": 1.0,
        "count": 1,
    }
    assert event.reason == stopped.reason
    per_step = on.final["progress/tflop"] / T
    assert event.repeated_tflop == pytest.approx((noticed - 10) * per_step, rel=0.3)
    assert on.final["progress/repeated_tflop"] == on.repeated_tflop == event.repeated_tflop
    assert on.repeated_seconds == event.repeated_seconds > 0
    assert [step for step, _ in on.series["train/loss"]] == list(range(1, T + 1))
    assert on.final["divergence/diverged"] == 0.0

    lowered = train(build("lower_lr", precision, recoveries=2), how, tmp_path / "lowered")
    assert (lowered.state, lowered.kind, lowered.executed_steps) == ("diverged", kind, noticed + 2 * (noticed - 10))
    assert [(event.count, event.lr_factor, event.precision) for event in lowered.recoveries] == [
        (1, 0.5, precision),
        (2, 0.25, precision),
    ]


def test_a_lower_rate_that_cures(build: Builder, how: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inject(monkeypatch.setattr, Fault("nan", 12, cured="lower_lr"))
    record = train(build("lower_lr", lr_factor=0.25), how, tmp_path / "low")
    assert (record.state, len(record.recoveries)) == ("finished", 1)
    plain = train(build("stop").model_copy(update={"divergence": Divergence()}), how, tmp_path / "plain")
    rates, undisturbed = dict(record.series["train/lr"]), dict(plain.series["train/lr"])
    assert plain.step > 10
    assert all(rates[step] == undisturbed[step] for step in range(1, 11))
    assert all(rates[step] == 0.25 * undisturbed[step] for step in range(11, plain.step + 1))


def test_it_goes_on_as_a_run_in_fp32_from_that_checkpoint_would(
    build: Builder, how: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows is what one gets by hand: the checkpoint of step 10 in the folder of an fp32 run."""
    with monkeypatch.context() as patched:
        inject(patched.setattr, Fault("nan", 12, cured="fp32"))
        on = train(build("continue_in_fp32", "fp16"), how, tmp_path / "on")
    half = train(build("stop", "fp16"), how, tmp_path / "half", until=10)
    assert half.state == "paused"
    saved = checkpoint.at(tmp_path / "half" / "checkpoints", 10)
    assert saved is not None
    checkpoint.adopt(saved, tmp_path / "hand" / "checkpoints")
    hand = train(build("stop", "fp32"), how, tmp_path / "hand")
    assert [point for point in on.series["train/loss"] if point[0] > 10] == hand.series["train/loss"]
    assert same_weights_at_end(tmp_path / "on", tmp_path / "hand")


def same_weights_at_end(one: Path, other: Path) -> bool:
    first, second = final_weights(one, T), final_weights(other, T)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_without_a_good_checkpoint_it_starts_again(
    build: Builder, how: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inject(monkeypatch.setattr, Fault("nan", 3, cured="fp32"))
    record = train(build("continue_in_fp32", "bf16"), how, tmp_path)
    assert (record.state, record.recoveries[0].from_step, record.executed_steps) == ("finished", 0, T + 6)
    assert len(record.series["train/loss"]) == T


def test_a_run_in_fp32_has_nothing_to_go_on_in(
    build: Builder, how: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inject(monkeypatch.setattr, Fault("nan", 12))
    record = train(build("continue_in_fp32", "fp32"), how, tmp_path)
    assert (record.state, record.recoveries) == ("diverged", [])


def test_in_fp32_it_may_still_diverge(
    build: Builder, how: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inject(monkeypatch.setattr, Fault("nan", 12))
    record = train(build("continue_in_fp32", "bf16"), how, tmp_path)
    assert (record.state, record.step, len(record.recoveries)) == ("diverged", 15, 1)
    assert record.final["progress/repeated_tflop"] == record.repeated_tflop > 0


def test_the_last_calm_checkpoint_outlives_newer_ones(
    build: Builder, execution: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpoints of bad steps must not push out the good one: here each of steps 13, 14, ... is one, and one
    is kept.
    """
    inject(monkeypatch.setattr, Fault("nan", 12, cured="fp32"))
    often = execution(checkpoint_every=1, keep_checkpoints=1)
    record = train(
        build("continue_in_fp32", "bf16").model_copy(update={"divergence": Divergence(nonfinite_steps=8)}),
        often,
        tmp_path,
    )
    assert (record.recoveries[0].from_step, record.recoveries[0].noticed) == (12, 20)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == [f"step-{T:08d}"]


def test_an_experiment_that_overflows_by_its_own_numbers(
    experiment: Builder, execution: Builder, tmp_path: Path
) -> None:
    """Nothing is injected: logits of embeddings this wide are beyond fp16's 65,504, and within fp32."""
    wide = {**SMALL, "embedding_std": 30_000.0}
    for policy, expected in (("stop", "diverged"), ("continue_in_fp32", "finished"), ("lower_lr", "diverged")):
        spec = experiment(
            steps=8,
            model=wide,
            precision="fp16",
            on_divergence=policy,
            divergence=Divergence(nonfinite_steps=3),
            validation=LATE,
        )
        record = train(spec, execution(), tmp_path / policy)
        assert record.state == expected, policy
        count = {"stop": 0, "continue_in_fp32": 1, "lower_lr": 3}[policy]
        assert [event["from_step"] for event in recoveries(tmp_path / policy)] == [0] * count
        if expected == "diverged":
            assert record.reason == "the loss was not finite for 3 steps"


def test_a_stack_that_grew_is_as_deep_again_as_at_the_checkpoint(
    experiment: Builder, how: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It grows after step 12, and is found bad after that: back at step 10 it has the layers of then, and grows once
    more.
    """
    growth = Growth.model_validate({"stages": {"0 %": 2, "50 %": 4}, "weights": "stack", "moments": "copy"})
    spec = experiment(schedule="full", steps=T, growth=growth, on_divergence="lower_lr", divergence=Divergence(**RULES))
    inject(monkeypatch.setattr, Fault("nan", 11, cured="lower_lr"))
    record = train(spec, how, tmp_path)
    assert (record.state, record.grown, record.recoveries[0].from_step) == ("finished", [(12, 4)], 10)
    layers = [value for _, value in record.series["drop/layers_kept"]]
    assert layers == [2.0] * 12 + [4.0] * 12
    assert sum(event["event"] == "grown" for event in events(tmp_path)) == 2


def test_a_branch_recovers_within_itself(
    build: Builder, how: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trunk = train(build("lower_lr"), how, tmp_path, until=8)
    inject(monkeypatch.setattr, Fault("nan", 9, cured="lower_lr"))
    record = branch(build("lower_lr"), how, tmp_path, 8)
    assert (record.state, record.step, record.recoveries[0].from_step, record.executed_steps) == (
        "finished",
        12,
        8,
        4 + 4,
    )
    assert [rate for _, rate in record.series["train/lr"]] == pytest.approx(
        [0.5e-3 * (12 - step) / 4 for step in range(8, 12)]
    )
    assert fold_run(tmp_path) == trunk


def test_a_branch_of_a_recovered_trunk_is_on_its_course(
    build: Builder, how: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        inject(patched.setattr, Fault("nan", 6, cured="lower_lr"))
        trunk = train(build("lower_lr"), how, tmp_path, until=12)
    assert (trunk.state, trunk.recoveries[0].from_step) == ("paused", 5)
    record = branch(build("lower_lr"), how, tmp_path, 12)
    assert record.series["train/lr"][0] == (13, pytest.approx(0.5e-3))


# Exact resume over a recovery


@pytest.mark.parametrize(("policy", "at", "nth"), [("lower_lr", 13, 1), ("continue_in_fp32", 13, 2)])
def test_killed_before_in_and_after_a_recovery_it_ends_the_same(
    build: Builder, how: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str, at: int, nth: int
) -> None:
    """Bad from step 12 on, noticed at 14. kill -9 at 13: before that; the second time: after it, before a new
    checkpoint.
    """
    fault = Fault("nan", 11, cured="fp32" if policy == "continue_in_fp32" else policy)
    spec = build(policy, "fp16" if policy == "continue_in_fp32" else "fp32")
    assert run_child(spec, how, tmp_path / "cut", fault=list(fault), kill_at=at, kill_nth=nth) == -signal.SIGKILL
    assert len(recoveries(tmp_path / "cut")) == ((at, nth) != (13, 1))
    inject(monkeypatch.setattr, fault)
    cut, straight = train(spec, how, tmp_path / "cut"), train(spec, how, tmp_path / "straight")
    assert cut.resumed_from == [10]
    assert_same(cut, straight)
    assert same_weights_at_end(tmp_path / "cut", tmp_path / "straight")


def killed_at_random(
    build: Builder, execution: Builder, place: Path, monkeypatch: pytest.MonkeyPatch, policy: str, kills: int, seed: int
) -> int:
    """A run that pauses at 14 and recovers (bad from step 12 on), killed at random moments before and after the pause;
    ends as undisturbed.
    """
    rng, fault = (
        random.Random(seed),
        Fault(
            "overflow" if policy == "continue_in_fp32" else "nan",
            11,
            cured="fp32" if policy == "continue_in_fp32" else policy,
        ),
    )
    spec, how = (
        build(policy, "fp16" if policy == "continue_in_fp32" else "fp32"),
        execution(checkpoint_every=3, log_points=T, keep_checkpoints=1),
    )
    struck = kill_at_random(spec, how, place / "cut", kills - kills // 2, rng, fault=list(fault), until=14)
    inject(monkeypatch.setattr, fault)
    assert train(spec, how, place / "cut", until=14).state == "paused"
    struck += kill_at_random(spec, how, place / "cut", kills // 2, rng, fault=list(fault))
    cut, straight = train(spec, how, place / "cut"), train(spec, how, place / "straight")
    print(
        f"seed {seed}: {struck} kills, resumed from {cut.resumed_from}, {len(recoveries(place / 'cut'))} "
        f"recoveries, executed {cut.executed_steps}"
    )
    assert cut.state == straight.state == "finished"
    assert cut.series["train/loss"] == straight.series["train/loss"]
    assert cut.series["train/lr"] == straight.series["train/lr"]
    assert same_weights_at_end(place / "cut", place / "straight")
    return struck


def test_three_kills_at_random_moments(
    build: Builder, execution: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        killed_at_random(
            build, execution, tmp_path, monkeypatch, "continue_in_fp32", 3, seed=random.SystemRandom().randrange(2**32)
        )
        > 0
    )


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("policy", ["continue_in_fp32", "lower_lr"])
@pytest.mark.parametrize("round_", range(4))
def test_many_kills_at_random_moments(
    build: Builder, execution: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str, round_: int
) -> None:
    assert (
        killed_at_random(
            build, execution, tmp_path, monkeypatch, policy, 8, seed=random.SystemRandom().randrange(2**32)
        )
        > 0
    )


def assert_same(one: RunRecord, other: RunRecord) -> None:
    assert one.state == other.state == "finished"
    assert one.series == other.series
    told = [
        [(event.from_step, event.precision, event.lr_factor, event.count) for event in record.recoveries]
        for record in (one, other)
    ]
    assert told[0] == told[1] != []


def test_killed_between_the_checkpoints_that_go_and_the_event(
    build: Builder, how: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inject(monkeypatch.setattr, Fault("nan", 11, cured="lower_lr"))
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "discard_after", _discard_and_fail(checkpoint.discard_after))
        with pytest.raises(RuntimeError, match="power cut"):
            train(build("lower_lr"), how, tmp_path / "cut")
    assert recoveries(tmp_path / "cut") == []
    assert_same(train(build("lower_lr"), how, tmp_path / "cut"), train(build("lower_lr"), how, tmp_path / "straight"))


def _discard_and_fail(discard: Callable[[Path, int], None]) -> Callable[[Path, int], None]:
    def both(root: Path, step: int) -> None:
        discard(root, step)
        raise RuntimeError("power cut")

    return both


def test_a_damaged_good_checkpoint_is_passed_over(
    build: Builder, how: Any, execution: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run recovered from step 10, fails, and finds only step 5 whole: before the recovery, so it diverges and
    recovers again.
    """
    fault = Fault("nan", 11, cured="lower_lr")
    spec = build("lower_lr")
    inject(monkeypatch.setattr, fault)
    with monkeypatch.context() as patched:
        fail_at(patched, 17, RuntimeError("x"))
        with pytest.raises(RuntimeError):
            train(spec, execution(checkpoint_every=EVERY, log_points=T, keep_checkpoints=10), tmp_path / "cut")
    (tmp_path / "cut" / "checkpoints" / "step-00000015" / "training.pt").write_bytes(b"")
    (tmp_path / "cut" / "checkpoints" / "step-00000010" / "training.pt").write_bytes(b"")
    cut, straight = train(spec, how, tmp_path / "cut"), train(spec, how, tmp_path / "straight")
    assert (cut.resumed_from, len(recoveries(tmp_path / "cut"))) == ([5], 2)
    assert_same(cut, straight)


# The decisions are pure functions


def test_the_course_is_that_of_the_last_recovery_at_or_before_a_step(build: Builder) -> None:
    spec = build("lower_lr", "fp16")
    told = [
        RunRecovered(step, from_step=step, precision="fp16", lr_factor=factor, count=count)
        for step, factor, count in ((10, 0.5, 1), (40, 0.25, 2))
    ]
    assert [course_at(spec, told, step) for step in (0, 9)] == [Course("fp16")] * 2
    assert [course_at(spec, told, step).count for step in (10, 39, 40, 99)] == [1, 1, 2, 2]


@pytest.mark.parametrize(
    ("policy", "rules", "course", "after"),
    [
        ("stop", {}, Course("fp16"), None),
        ("continue_in_fp32", {}, Course("fp16"), Course("fp32", 1.0, 1)),
        ("continue_in_fp32", {}, Course("fp32", 1.0, 1), None),
        ("lower_lr", {}, Course("fp16"), Course("fp16", 0.5, 1)),
        ("lower_lr", {}, Course("fp16", 0.125, 3), None),
        ("lower_lr", {"lr_factor": 0.1, "recoveries": 1}, Course("bf16"), Course("bf16", 0.1, 1)),
        ("lower_lr", {"lr_factor": 0.1, "recoveries": 1}, Course("bf16", 0.1, 1), None),
    ],
)
def test_how_a_run_goes_on(
    build: Builder, policy: str, rules: dict[str, float], course: Course, after: Course | None
) -> None:
    assert next_course(build(policy, **rules), course) == after


def test_the_loss_scale_is_in_the_checkpoint(
    build: Builder, how: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "INITIAL_SCALE", 2.0**14)
    monkeypatch.setattr(precision, "GROWTH_INTERVAL", 4)
    train(build("stop", "fp16"), how, tmp_path, until=10)
    saved = checkpoint.at(tmp_path / "checkpoints", 10)
    assert saved is not None
    scaler = saved.training()["scaler"]
    assert (scaler["scale"], scaler["_growth_tracker"]) == (2.0**16, 2)
    assert all(
        math.isfinite(event["metrics"]["train/loss"])
        for event in jsonl.read(tmp_path / "events.jsonl")
        if event["event"] == "progress"
    )
