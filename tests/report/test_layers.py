"""What layers do: in the terminal, the page, report.json, pictures and the card of an export."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from pld_search.cli.output import console
from pld_search.records.events import RunAnalysed
from pld_search.records.layer_analysis import Elasticity, LayerAnalysis
from pld_search.records.run_record import ANALYSIS, RunWriter, fold_run
from pld_search.records.study_record import trial_folder, view
from pld_search.report import layer_figures
from pld_search.report.layer_tables import elasticity_lines, show
from pld_search.report.model_card import Card, model_card
from pld_search.report.page import page
from pld_search.report.page_facts import PageFacts
from pld_search.report.print_style import printed
from pld_search.report.sections import layers
from pld_search.report.write_report import as_json
from tests.report.studies import FULL, PLD, Folder, experiment
from tests.report.test_page import read


def analysis(loss: float = 5.0, *, whole: bool = True) -> LayerAnalysis:
    curve = Elasticity([5.6, 5.3, loss], [5.9, 5.4, loss], [5.5, 5.2, loss], [2, 3], [900.0, 500.0, 300.0])
    return LayerAnalysis(
        sequences=64,
        loss=loss,
        gradients={"block": [0.1, 0.2, 0.4], "attention": [0.1, 0.1, 0.1], "feed_forward": [0.05, 0.15, 0.3]},
        distance=[9.0, 8.0, 7.5],
        cosine=[0.8, 0.9, None],
        updates=[0.25, 0.5],
        without=[loss + 0.6, loss + 0.2, loss + 0.4],
        seconds=1.5,
        swapped=[loss + 0.1, loss + 0.05] if whole else None,
        elasticity=curve if whole else None,
    )


def looked_at(folder: Path, trial: int, series: dict[int, LayerAnalysis]) -> None:
    run = trial_folder(folder, trial, 0)
    log = RunWriter(run / "events.jsonl")
    for step, found in series.items():
        log.emit(RunAnalysed(step, found=found.record()))
    log.close()


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = Folder(tmp_path / "looked", systems=["full", "pld"], reference="full")
    for name, schedule in (("full", FULL), ("pld", PLD)):
        what = experiment(schedule)
        folder.run(folder.ask(what, name), what, 5.2)
    folder.study.close()
    looked_at(folder.path, 0, {0: analysis(7.0, whole=False), 200: analysis(5.5, whole=False), 400: analysis()})
    looked_at(folder.path, 1, {400: analysis(5.1)})
    return folder.path


def test_the_page_shows_all_systems_and_what_it_cost(study: Path) -> None:
    text = page(PageFacts.of(view(study)))
    said = " ".join(read(text).text)
    assert "What layers do" in said
    assert "The runs' own analyses took 6 s, which is no training time" in " ".join(said.split())
    drawn = {each.name: each for each in layers.pictures(PageFacts.of(view(study)))}
    assert list(drawn)[:6] == [
        f"layers-{name}" for name in ("gradients", "distance", "cosine", "updates", "lesions", "elasticity")
    ]
    assert list(drawn)[6:] == ["steps-gradients-0", "steps-cosine-0"]
    assert "full from 0.600 to 0.400" in drawn["layers-lesions"].alt
    for each in drawn.values():
        boxes = [shape.box for shape in each.texts()]
        assert boxes
        assert not [1 for one, box in enumerate(boxes) for other in boxes[one + 1 :] if box.overlaps(other)], each.name
    rows = {row["label"]: row["layer_analysis"] for row in as_json(PageFacts.of(view(study)))["comparison"]}
    assert rows["pld"] == json.loads(json.dumps(analysis(5.1).record()))


def test_a_study_that_nobody_looked_at_has_no_section(demo: Path) -> None:
    assert "What layers do" not in page(PageFacts.of(view(demo)))
    facts = PageFacts.of(view(demo))
    found = as_json(facts)["comparison"]
    assert all(row["layer_analysis"] is None for row in found)
    assert {row["label"]: row["layers"] for row in found} == {row.label: row.layers for row in facts.table}
    assert all(row["layers"] for row in found)


def test_what_was_asked_for_later_is_shown_too(study: Path) -> None:
    run = trial_folder(study, 1, 0)
    before = fold_run(run).analysis_seconds
    log = RunWriter(run / ANALYSIS / "events.jsonl")
    log.emit(RunAnalysed(300, found=analysis(5.3).record()))
    log.emit(RunAnalysed(400, found=analysis(4.9).record()))
    log.close()
    record = fold_run(run)
    assert [step for step, _ in record.analyses] == [300, 400]
    assert (record.analysis_at(None), record.analysis_at(200)) == (analysis(4.9), None)
    assert record.analysis_seconds == before


def test_a_later_look_at_less_does_not_hide_the_curve(study: Path) -> None:
    looked_at(study, 1, {400: analysis(5.1, whole=False)})
    found = fold_run(trial_folder(study, 1, 0)).analysis_at(400)
    assert found is not None and found.elasticity is not None


def test_lines_and_heat_maps_hold_the_numbers() -> None:
    systems = {
        "one": [(0, analysis(7.0, whole=False)), (2, analysis(6.0)), (4, analysis())],
        "two": [(4, analysis(5.1))],
    }
    with printed():
        figure = layer_figures.last_figure(systems)
        over_steps = layer_figures.series_figure(systems)
    lines = [axis.get_lines() for axis in figure.axes]
    assert lines[0][0].get_ydata().tolist() == [0.1, 0.2, 0.4]
    assert lines[4][1].get_ydata() == pytest.approx([0.6, 0.2, 0.4])
    assert [line.get_ydata().tolist() for line in lines[5][:2]] == [[5.5, 5.2, 5.0], [5.6, 5.3, 5.0]]
    assert over_steps is not None
    heat = over_steps.axes[0].collections[0].get_array()
    assert heat.shape == (3, 3)
    assert heat[:, 0].tolist() == [0.1, 0.2, 0.4]  # layers from below, after no step
    with printed():
        assert layer_figures.series_figure({"two": systems["two"]}) is None


def test_a_stack_that_grew_has_blanks(tmp_path: Path) -> None:
    short = LayerAnalysis(4, 6.0, {"block": [0.5]}, [1.0], [0.5], [], [6.5], 0.1)
    layer_figures.write_pictures("grown", [(0, short), (5, short), (9, analysis())], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["layers-over-steps.png", "layers.png"]


def test_the_terminal_and_the_card_say_which_layers_stay(study: Path) -> None:
    out = io.StringIO()
    show("pld", 400, analysis(5.1), console(out))
    text = out.getvalue()
    assert "pld after 400 steps: loss 5.1000 over 64 held-out sequences" in text
    assert "+0.600" in text
    assert list(elasticity_lines(analysis(5.1).elasticity))[-1].endswith("| 900 | 1 |")  # type: ignore[arg-type]
    what = experiment(PLD)
    card = Card("model", "BertForMaskedLM", 6, experiment=what, record=fold_run(trial_folder(study, 1, 0)), step=400)
    assert "## Fewer layers" in model_card(card)
    assert "| 2 | 5.3000 | 5.4000 | 5.2000 | 500 | 1 3 |" in model_card(card)
    card = Card("model", "BertForMaskedLM", 6, experiment=what, record=fold_run(trial_folder(study, 1, 0)), step=200)
    assert "## Fewer layers" not in model_card(card)
