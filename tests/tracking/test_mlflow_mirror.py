from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pld_search.errors import StudyError
from pld_search.host.processes import host
from pld_search.records.events import RunAnalysed, RunFinished, RunPaused, RunResumed, RunStopped
from pld_search.records.layer_analysis import LayerAnalysis
from pld_search.records.run_record import ANALYSIS, RunWriter
from pld_search.records.study_events import (
    RunExited,
    RungReached,
    RunLaunched,
    StudyCompleted,
    StudyPrepared,
    TrialAsked,
    TrialTold,
)
from pld_search.tracking.mlflow_content import Answer
from pld_search.tracking.mlflow_inputs import MODEL
from pld_search.tracking.mlflow_mirror import Mirror, mirror
from pld_search.tracking.mlflow_store import STUDY, Store, default_uri, experiment_of, open_store
from pld_search.tracking.shown_run import PARENT
from pld_search.tracking.study_sync import StudySync
from tests.tracking.studies import ASKED, TASK, run, train, write_study

pytestmark = pytest.mark.filterwarnings("ignore")  # mlflow's own


def draw(experiment: dict[str, Any], path: Path) -> None:
    path.write_bytes(experiment["schedule"]["name"].encode())


def picture_of(store: Store, study_id: str) -> dict[str, Any]:
    """Everything MLflow shows of a study, without its own ids; the name of the run above stands for its id."""
    client = store.client
    (experiment,) = (each for each in client.search_experiments() if each.tags.get(STUDY) == study_id)
    runs = client.search_runs([experiment.experiment_id])
    names = {run.info.run_id: run.info.run_name for run in runs}
    result = {}
    for each in runs:
        histories = {
            key: [(m.step, m.value, m.timestamp) for m in client.get_metric_history(each.info.run_id, key)]
            for key in each.data.metrics
        }
        above = names.get(each.data.tags.get(PARENT, ""), "")
        tags = {key: value for key, value in each.data.tags.items() if key not in (PARENT, MODEL)} | {"above": above}
        files = sorted(item.path for item in client.list_artifacts(each.info.run_id))
        result[each.info.run_name] = (
            each.info.status,
            each.info.start_time,
            each.info.end_time,
            tags,
            dict(each.data.params),
            histories,
            files,
        )
    return result


def test_a_study_is_shown_and_twice_gives_the_same_picture(store: Store, runs: Path) -> None:
    folder = runs / "shown"
    study = write_study(folder, "shown-id", trials=2)
    train(first := run(folder, 0), 0, 100)
    first.emit(RunFinished(100, metrics={"saved/flops": 0.2}, timing={}))
    train(run(folder, 1), 0, 60)
    study.write(RunExited(trial=1, seed_index=0, launch=1, code=1, outcome="crashed", reason="ValueError: no"))
    study.write(StudyCompleted())
    (folder / "report.html").write_text("<html></html>")
    mirror(folder, picture=draw)
    shown = picture_of(store, "shown-id")
    parent, done, broken = shown["shown"], shown["pld0 #0 s0"], shown["pld1 #1 s0"]
    assert (parent[0], done[0], broken[0]) == ("FINISHED", "FINISHED", "FAILED")
    assert parent[6] == ["report.html", "study.yaml"]
    assert done[6] == ["experiment.yaml", "schedule.png"]
    assert done[2] is not None
    wanted = {"study": "shown", "system": "pld0", "schedule": "pld", "trial": "0", "seed": "0", "state": "finished", "schedule.temporal": "exponential",
              "commit": "abc", "provenance.versions.torch": "2", "device": "cpu", "threads": "1", "kind": "system"}  # fmt: skip
    assert wanted.items() <= done[3].items()
    assert broken[3]["reason"] == "ValueError: no"
    assert done[4]["optimizer.lr"] == "0.001"
    assert [step for step, _, _ in done[5]["valid/loss"]] == [50, 100]
    assert [step for step, _, _ in done[5]["train/loss"]] == list(range(10, 101, 10))
    assert done[5]["saved/flops"][0][:2] == (100, 0.2)
    mirror(folder, picture=draw)
    assert picture_of(store, "shown-id") == shown


def test_a_complete_study_shows_what_it_answers_and_takes_it_back_where_it_goes_on(store: Store, runs: Path) -> None:
    folder = runs / "answered"
    study = write_study(folder, "answered-id", trials=2)
    for trial in (0, 1):
        train(writer := run(folder, trial), 0, 100)
        writer.emit(RunFinished(100, metrics={}, timing={}))
    answer = Answer("Better than pld0 on valid/loss: pld1 by 0.1 nats.", {1: "better"}, winner=1)
    mirror(folder, answering=lambda _: answer)
    assert "verdict" not in picture_of(store, "answered-id")["answered"][3]  # not before the end
    study.write(StudyCompleted())
    mirror(folder, answering=lambda _: answer)
    shown = picture_of(store, "answered-id")
    parent, first, second = shown["answered"][3], shown["pld0 #0 s0"][3], shown["pld1 #1 s0"][3]
    assert parent["verdict"] == answer.headline
    assert parent["mlflow.note.content"].startswith(answer.headline)
    assert (second["verdict"], second["winner"], second["mlflow.note.content"]) == ("better", "true", "pld1: better")
    assert not {"verdict", "winner"} & set(first)
    study.write(RunExited(trial=1, seed_index=0, launch=1, code=0, outcome="finished"))
    mirror(folder, answering=lambda _: answer)
    shown = picture_of(store, "answered-id")
    assert not {"verdict", "winner"} & (set(shown["answered"][3]) | set(shown["pld1 #1 s0"][3]))


def test_a_resume_that_superseded_shown_points_is_shown_anew(store: Store, runs: Path) -> None:
    folder = runs / "resumed"
    study = write_study(folder, "resumed-id")
    own = open_store(None, runs, "resumed", "resumed-id")
    sync = StudySync(own, folder)
    study.write(
        RunLaunched(trial=0, seed_index=0, launch=1, pid=1, process_started=1.0, host="elsewhere", slot=0, command=[])
    )
    train(run(folder), 0, 80)
    sync.sync()
    assert picture_of(store, "resumed-id")["pld0 #0 s0"][0] == "RUNNING"
    study.write(RunExited(trial=0, seed_index=0, launch=1, code=-9, outcome="killed", reason="signal 9"))
    sync.sync()
    assert picture_of(store, "resumed-id")["pld0 #0 s0"][0] == "KILLED"
    study.write(
        RunLaunched(trial=0, seed_index=0, launch=2, pid=1, process_started=1.0, host="elsewhere", slot=0, command=[])
    )
    second = run(folder)
    second.emit(RunResumed(50, from_step=50))
    train(second, 50, 70)
    StudySync(own, folder).sync()  # another process goes on
    shown = picture_of(store, "resumed-id")["pld0 #0 s0"]
    assert shown[0] == "RUNNING"
    assert [(s, v) for s, v, _ in shown[5]["train/loss"]] == [
        (s, 7 - s / 100 + (1 if s <= 50 else 2)) for s in range(10, 71, 10)
    ]
    train(second, 70, 100)
    second.emit(RunFinished(100, metrics={}, timing={}))
    mirror(folder)
    shown = picture_of(store, "resumed-id")["pld0 #0 s0"]
    assert shown[0] == "FINISHED"
    assert [s for s, _, _ in shown[5]["train/loss"]] == list(range(10, 101, 10))


def test_a_terminated_run_that_goes_on_is_running_again(store: Store, runs: Path) -> None:
    folder = runs / "goes-on"
    study = write_study(folder, "goes-on-id")
    own = open_store(None, runs, "goes-on", "goes-on-id")
    train(first := run(folder), 0, 50)
    first.emit(RunStopped(50, reason="signal 15"))
    sync = StudySync(own, folder)
    sync.sync()
    stopped = picture_of(store, "goes-on-id")["pld0 #0 s0"]
    assert (stopped[0], stopped[3]["state"]) == ("KILLED", "stopped")
    study.write(
        RunLaunched(trial=0, seed_index=0, launch=2, pid=1, process_started=1.0, host=host() + "x", slot=0, command=[])
    )
    second = run(folder)
    second.emit(RunResumed(50, from_step=50))
    train(second, 50, 60)
    sync.sync()
    assert picture_of(store, "goes-on-id")["pld0 #0 s0"][0] == "RUNNING"


def test_a_run_that_waits_at_a_rung_is_scheduled_until_it_is_decided(store: Store, runs: Path) -> None:
    folder = runs / "rungs"
    study = write_study(folder, "rungs-id")
    own = open_store(None, runs, "rungs", "rungs-id")
    study.write(TrialAsked(trial=0, kind="sampled", system=None, params={}, schedule="pld", seeds=[0], rungs=[50, 80]))
    study.write(
        RunLaunched(
            trial=0, seed_index=0, launch=1, pid=1, process_started=1.0, host="elsewhere", slot=0, command=[], until=50
        )
    )
    train(first := run(folder), 0, 50)
    first.emit(RunPaused(50, until=50))
    sync = StudySync(own, folder)
    sync.sync()
    study.write(RunExited(trial=0, seed_index=0, launch=1, code=0, outcome="paused", reason=None))
    sync.sync()
    waiting = picture_of(store, "rungs-id")["pld #0 s0"]
    assert (waiting[0], waiting[2], waiting[3]["outcome"]) == ("SCHEDULED", None, "waiting at rung 1 of 2 (step 50)")
    study.write(RungReached(trial=0, rung=0, steps=50, step=1, values=[5.25]))
    study.write(TrialTold(trial=0, state="PRUNED", values=None, constraints={}, reason="not promoted from rung 1"))
    sync.sync()
    (name,) = (name for name in picture_of(store, "rungs-id") if name.startswith("pld #0 s0"))
    pruned = picture_of(store, "rungs-id")[name]
    assert name == "pld #0 s0, pruned at rung 1 of 2 (step 50)"
    assert (pruned[0], pruned[2] is not None, pruned[3]["rungs"]) == ("FINISHED", True, "5.25 at step 50")


def test_the_observer_shows_a_study_in_its_own_thread(store: Store, runs: Path) -> None:
    folder = runs / "observed"
    study = write_study(folder, "observed-id")
    train(run(folder), 0, 50)
    observer = Mirror(interval=0.01, picture=draw)
    observer.notice(folder)
    study.write(StudyCompleted())
    observer.close(folder)
    assert picture_of(store, "observed-id")["observed"][0] == "FINISHED"


def test_a_dead_server_costs_nothing_and_is_said_once(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    write_study(folder, "dead-id").write(StudyCompleted())
    said: list[str] = []
    observer = Mirror("http://127.0.0.1:9", retry=0.01, patience=30, say=said.append)
    for _ in range(3):
        observer.notice(folder)
    observer.close(folder)
    assert len(said) == 1
    assert "mirror" in said[0]
    with pytest.raises(StudyError, match="cannot be written"):
        mirror(folder, "http://127.0.0.1:9")


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="holds no study"):
        mirror(tmp_path)


def test_a_configuration_stands_between_the_study_and_its_seeds(store: Store, runs: Path) -> None:
    """Its metrics are means over the seeds, the difference is the report's, and the study has its winner's."""
    folder = runs / "levels"
    study = write_study(folder, "levels-id", trials=2)
    for trial, saved in ((0, 0.0), (1, 0.25)):
        study.write(TrialAsked(**{**ASKED, "trial": trial, "system": f"pld{trial}", "seeds": [0, 1]}))
        for index in (0, 1):
            train(writer := run(folder, trial, index), 0, 100)
            writer.emit(RunFinished(100, metrics={"saved/flops": saved, "drop/layers_kept": 2.0 + index}, timing={}))
        study.write(TrialTold(trial=trial, state="COMPLETE", values=[5.0], constraints={}))
    study.write(StudyCompleted())
    answer = Answer("Better.", {1: "better"}, winner=1, figures={1: {"difference/valid/loss": -0.5}})
    mirror(folder, answering=lambda _: answer)
    shown = picture_of(store, "levels-id")
    parent, own, seed = shown["levels"], shown["pld1 #1"], shown["pld1 #1 s1"]
    assert [each[3]["level"] for each in (parent, own, seed)] == ["study", "configuration", "seed"]
    assert (own[3]["above"], seed[3]["above"]) == ("levels", "pld1 #1")
    assert (own[3]["seeds"], own[3]["verdict"], parent[3]["winner"]) == ("2", "better", "pld1 #1")
    assert [(step, value) for step, value, _ in own[5]["valid/loss"]] == [(50, 5.5), (100, 5.0)]
    assert [value for _, value, _ in own[5]["drop/layers_kept"]] == [2.5]
    assert own[5]["sd/drop/layers_kept"][0][1] == pytest.approx(0.5**0.5)
    assert own[5]["difference/valid/loss"][0][1] == -0.5
    assert "difference/valid/loss" not in shown["pld0 #0"][5]
    assert (parent[5]["valid/loss"][0][1], parent[5]["saved/flops"][0][1]) == (5.0, 0.25)
    assert all(value for each in shown.values() for key, value in each[3].items() if key != "above")
    mirror(folder, answering=lambda _: answer)
    assert picture_of(store, "levels-id") == shown


def test_a_finished_run_has_a_model_that_its_last_metrics_belong_to(store: Store, runs: Path) -> None:
    folder = runs / "modelled"
    study = write_study(folder, "modelled-id")
    study.write(StudyPrepared(corpus={"corpus": "sha256:" + "a" * 64, "statistics": {"tokens": 9}}, tasks=[TASK]))
    train(writer := run(folder, 0), 0, 100)
    mirror(folder)
    writer.emit(RunFinished(100, metrics={"saved/flops": 0.2}, timing={}))
    mirror(folder)
    own = open_store(None, runs, "modelled", "modelled-id")
    (child,) = own.search("tags.level = 'seed'")
    model = own.client.get_logged_model(child.data.tags[MODEL])
    assert (model.name, model.source_run_id) == ("pld0-0-s0", child.info.run_id)
    assert model.tags["checkpoint"] == "modelled/trials/0000/seed-0/x"
    assert {"valid/loss": 5.0, "saved/flops": 0.2}.items() <= {m.key: m.value for m in model.metrics}.items()
    assert [(each.dataset.name, each.dataset.digest[:3]) for each in child.inputs.dataset_inputs] == [
        ("corpus", "aaa"),
        ("demo/older", "bbb"),
    ]


def test_two_studies_of_one_name_have_experiments_of_their_own(store: Store, runs: Path) -> None:
    first, second = (open_store(None, runs, "twin", identity) for identity in ("1" * 12, "2" * 12))
    assert first.experiment_id != second.experiment_id
    assert open_store(None, runs, "twin", "2" * 12).experiment_id == second.experiment_id
    assert store.client.get_experiment(second.experiment_id).name == "twin (22222222)"
    assert experiment_of(default_uri(runs), "twin", "1" * 12) == first.experiment_id
    assert experiment_of(default_uri(runs), "nobody", "3") is None


def test_what_version_0_1_showed_is_taken_away(store: Store, runs: Path) -> None:
    client = store.client
    shared = client.create_experiment("pld-search")
    parent = client.create_run(shared, tags={STUDY: "old-id", "kind": "study"})
    client.create_run(shared, tags={PARENT: parent.info.run_id})
    other = client.create_run(shared, tags={STUDY: "other-id"})
    write_study(runs / "old", "old-id")
    mirror(runs / "old")
    assert [run.info.run_id for run in client.search_runs([shared])] == [other.info.run_id]
    assert list(picture_of(store, "old-id")) == ["old"]


def test_analyses_are_shown_once_each_and_drawn_when_a_run_has_ended(store: Store, runs: Path) -> None:
    folder = runs / "looked-at"
    study = write_study(folder, "looked-id", trials=1)

    def looked(cosine: float) -> dict[str, Any]:
        return LayerAnalysis(4, 5.0, {"block": [1.0, 2.0]}, [1.0] * 2, [cosine] * 2, [0.5], [5.5, 5.2], 0.5).record()

    def drawn(name: str, series: Any, place: Path) -> None:
        (place / "layers.png").write_text(f"{name}: {[step for step, _ in series]}")

    study.write(
        RunLaunched(trial=0, seed_index=0, launch=1, pid=1, process_started=1.0, host="elsewhere", slot=0, command=[])
    )
    writer = run(folder, 0)
    train(writer, 0, 50)
    writer.emit(RunAnalysed(50, found=looked(0.5)))
    mirror(folder, layers=drawn)
    shown = picture_of(store, "looked-id")["pld0 #0 s0"]
    assert [(step, value) for step, value, _ in shown[5]["analysis/cosine"]] == [(50, 0.5)]
    assert shown[5]["analysis/worst_lesion"][0][1] == 0.5
    assert "layers.png" not in shown[6]

    writer.emit(RunAnalysed(100, found=looked(0.25)))
    writer.emit(RunFinished(100, metrics={"saved/flops": 0.2}, timing={}))
    study.write(RunExited(trial=0, seed_index=0, launch=1, code=0, outcome="finished", reason=None))
    later = RunWriter(run_folder_of(folder) / ANALYSIS / "events.jsonl")
    later.emit(RunAnalysed(75, found=looked(0.125)))
    for _ in range(2):
        mirror(folder, layers=drawn)
        shown = picture_of(store, "looked-id")["pld0 #0 s0"]
        points = sorted((step, value) for step, value, _ in shown[5]["analysis/cosine"])
        assert points == [(50, 0.5), (75, 0.125), (100, 0.25)]
        assert "layers.png" in shown[6]


def run_folder_of(study: Path) -> Path:
    return study / "trials" / "0000" / "seed-0"
