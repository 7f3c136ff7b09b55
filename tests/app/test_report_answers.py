"""A look: what it decides stays decided in the report, and undecided rows get the seeds that would decide them."""

from __future__ import annotations

from pathlib import Path

from pld_search.app.report_answers import take_look
from pld_search.records.study_events import LooksDeclared, StudyLooked
from pld_search.records.study_record import view
from pld_search.report import headline, wording
from pld_search.report.comparison import comparison
from pld_search.report.study_summary import summary
from tests.report.studies import FULL, Folder, experiment, schedule

NOISE = {
    "full": (0.0, 0.001, -0.002),
    "good": (0.001, 0.0, 0.002),
    "near": (-0.001, 0.002, 0.0),
    "same": (0.0, 0.0, 0.0),
}
MEANS = {"full": 5.0, "good": 4.9, "near": 4.996, "same": 5.0}


def study(path: Path, seeds: int = 3, *events: StudyLooked) -> Path:
    folder = Folder(path, systems=list(MEANS), reference="full", decide={"max_seeds": 12})
    folder.study.write(LooksDeclared(most=3))
    for name, mean in MEANS.items():
        what = experiment(FULL if name == "full" else schedule(name, 0.5 + len(name) / 100))
        if name == "same":
            what = experiment(schedule("same", 0.9))
        trial = folder.ask(what, name, seeds=range(seeds))
        for index in range(seeds):
            folder.run(trial, what, mean + 0.05 * index + NOISE[name][index], index)
    for event in events:
        folder.study.write(event)
    return folder.complete()


def test_undecided_rows_that_seeds_would_decide_get_them_and_the_reference_with_them(tmp_path: Path) -> None:
    found = take_look(study(tmp_path / "s"))
    table = comparison(view(tmp_path / "s"))
    assert found.verdicts == {"good": "better", "near": "undecided", "same": "undecided"}
    near = table[2].differences["valid/loss"]
    assert near.more_seeds is not None
    wanted = {row.trial: 3 + near.more_seeds for row in table if row.label in ("full", "near")}
    assert found.seeds == wanted  # no number of seeds within the cap decides `same`


def test_a_row_that_a_look_decided_stays_decided(tmp_path: Path) -> None:
    first = StudyLooked(look=1, verdicts={"near": "better", "same": "undecided"}, seeds={"0": 4})
    second = StudyLooked(look=2, verdicts={"near": "worse", "same": "equal"})
    seen = view(study(tmp_path / "s", 3, first, second))
    table, about = comparison(seen), summary(seen)
    words = {row.label: row.differences["valid/loss"].words for row in table[1:]}
    assert (words["near"], words["same"]) == ("better (look 1)", "equal (look 2)")
    assert "at most 3 looks" in wording.rule(about, table)
    assert "Post hoc" not in " ".join(headline.lines(table, about))
