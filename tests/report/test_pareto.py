from __future__ import annotations

from itertools import combinations
from pathlib import Path

from pld_search.records.study_record import view
from pld_search.report.drawing.svg_shapes import Group
from pld_search.report.page_facts import PageFacts
from pld_search.report.pareto import front, pictures
from tests.report.studies import FULL, Folder, experiment, schedule


def test_the_picture_has_every_row_and_names_the_front(tmp_path: Path) -> None:
    goals = [{"minimize": "valid/loss"}, {"maximize": "saved/flops"}]
    study = Folder(tmp_path / "two", systems=["full"], reference="full", search={"objective": goals, "trials": 4})
    study.run(study.ask(experiment(FULL), "full"), experiment(FULL), 5.44)
    for number, (end, loss) in enumerate(((0.9, 5.42), (0.7, 5.43), (0.5, 5.46), (0.6, 5.50))):
        what = experiment(schedule(f"s{number}", end))
        trial = study.ask(what, None, params={"schedule.temporal.end": end})
        study.run(trial, what, loss)
        study.tell(trial, loss)
    facts = PageFacts.of(view(study.complete()))
    kept = [row.label for row in front(facts.table, facts.about.objectives)]
    assert kept == ["trial 1", "trial 2", "trial 3"]  # full is worse than trial 1 in both, trial 4 than trial 3
    (drawn,) = pictures(facts)
    assert len([shape for shape in drawn.shapes if isinstance(shape, Group)]) == 5
    named = [text for text in drawn.texts() if text.text in {row.label for row in facts.table}]
    assert sorted(text.text for text in named) == ["full", *kept]
    assert not [1 for one, other in combinations(drawn.texts(), 2) if one.box.overlaps(other.box)]
    assert all(label in drawn.alt for label in kept)


def test_one_objective_has_no_front(small: PageFacts) -> None:
    assert pictures(small) == []
