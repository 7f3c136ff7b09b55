from __future__ import annotations

from pathlib import Path

from pld_search.records.events import RunStarted
from pld_search.records.run_record import RunRecord
from pld_search.records.status import run_status
from pld_search.records.study_events import TrialAsked
from pld_search.records.study_record import view
from pld_search.records.trial_record import LaunchRecord, TrialRecord
from pld_search.report.run_frame import columns
from pld_search.report.run_rows import IDENTITY, rows, schedule_name
from tests.report.studies import CORPUS


def test_one_row_a_run_with_metric_names_as_keys(demo: Path) -> None:
    table = rows(view(demo))
    assert [(row["trial"], row["seed"]) for row in table] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (2, 0),
        (3, 0),
        (4, 0),
        (5, 0),
        (6, 0),
        (7, 0),
        (8, 0),
    ]
    pld = table[2]
    assert {key: pld[key] for key in ("system", "kind", "schedule", "state", "steps")} == {
        "system": "pld",
        "kind": "system",
        "schedule": "pld",
        "state": "finished",
        "steps": 556,
    }
    assert pld["digest"].startswith("sha256:")
    assert (pld["valid/loss"], pld["test/loss"]) == (5.39, 5.39 + 0.05)
    assert pld["demo/period/accuracy"] == 0.66
    assert {
        "saved/flops",
        "saved/block_flops",
        "speed/tokens_per_second",
        "divergence/diverged",
        "progress/tflop",
    } <= set(pld)
    assert CORPUS["unigram_entropy"] == 6.0


def test_states_and_reasons(demo: Path) -> None:
    by_trial = {row["trial"]: row for row in rows(view(demo))}
    assert by_trial[3]["state"] == "diverged"
    assert by_trial[3]["reason"] == "loss is not finite"
    assert by_trial[8]["state"] == "rejected"
    assert "expected_layers_end" in by_trial[8]["reason"]
    assert by_trial[8]["step"] == 0


def test_what_the_coordinator_saw_completes_what_a_run_could_not_say() -> None:
    trial = TrialRecord(
        0,
        "sampled",
        None,
        TrialAsked(0, "sampled", None, seeds=[0]),
        launches={0: LaunchRecord(launches=1, outcome="killed")},
    )
    assert run_status(trial, 0, RunRecord(state="running")).state == "failed"
    assert run_status(trial, 0, RunRecord(state="finished")).state == "finished"
    trial.launches[0] = LaunchRecord(launches=2)
    assert run_status(trial, 0, RunRecord(state="running")).state == "running"


def test_a_schedule_without_a_name_is_known_by_its_families() -> None:
    run = RunRecord(
        started=RunStarted(
            0, experiment={"schedule": {"name": "", "temporal": {"kind": "linear"}, "depth": {"kind": "uniform"}}}
        )
    )
    assert schedule_name(TrialRecord.of(TrialAsked(0, "sampled", None, seeds=[0])), run) == "linear x uniform"
    assert schedule_name(TrialRecord.of(TrialAsked(0, "sampled", None, seeds=[0])), RunRecord()) == ""


def test_columns_put_identity_first(demo: Path) -> None:
    names = columns(rows(view(demo)))
    assert tuple(names[: len(IDENTITY)]) == IDENTITY
    assert names[len(IDENTITY) :] == sorted(names[len(IDENTITY) :])
