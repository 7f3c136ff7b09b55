from __future__ import annotations

from pathlib import Path

from pld_search.records.study_record import view
from pld_search.report.comparison import comparison
from pld_search.report.page_facts import PageFacts
from pld_search.report.pareto import front, pictures
from pld_search.report.study_summary import summary
from pld_search.report.write_report import write_report
from tests.search.in_process import InProcess
from tests.search.studies import run, small_study

MORE = """
systems: {full: {schedule: full, optimizer.lr: 1e-3}}
reference: full
search:
  objective: [{minimize: valid/loss}, {maximize: saved/flops}]
  sampler: tpe
  trials: 12
  early_stopping: {kind: dominance, every: 50 %, by: 2}
"""


def test_what_others_dominate_at_a_rung_is_stopped(tmp_path: Path) -> None:
    study = small_study(tmp_path, MORE, sets=["schedule={base: pld, temporal.end: {float: [0.2, 0.9]}}"])
    assert run(study, tmp_path / "small", slots=1, launcher=InProcess(), poll=0) == 0
    found = view(tmp_path / "small")
    sampled = [trial for trial in found.study.trials.values() if trial.kind == "sampled"]
    rungs = [trial.rungs[0].values for trial in sampled]
    states = [trial.told.state for trial in sampled if trial.told]
    assert set(states) == {"PRUNED", "COMPLETE"}
    for number, trial in enumerate(sampled):
        loss, saved = rungs[number]
        assert saved == trial.asked.forecast["forecast/saved_flops"]
        # those that came before it
        better = sum(other != rungs[number] and other[0] <= loss and other[1] >= saved for other in rungs[:number])
        assert (states[number] == "PRUNED") == (better >= 2)


def test_the_report_shows_the_front(tmp_path: Path) -> None:
    study = small_study(tmp_path, MORE, sets=["schedule={base: pld, temporal.end: {float: [0.2, 0.9]}}"])
    assert run(study, tmp_path / "small", slots=1, launcher=InProcess(), poll=0) == 0
    found = view(tmp_path / "small")
    wanted = summary(found).objectives
    assert [(goal.metric, goal.direction) for goal in wanted] == [
        ("valid/loss", "minimize"),
        ("saved/flops", "maximize"),
    ]
    table = comparison(found)
    kept = front(table, wanted)
    assert kept
    losses = [row.metrics["valid/loss"].mean for row in kept]
    assert losses == sorted(losses)
    (drawn,) = pictures(PageFacts.of(found))
    assert kept[0].label in drawn.alt
    page = write_report(tmp_path / "small").read_text()
    assert "Pareto front of the objectives" in page
