"""The study files are what the generator writes, every one can be built, and stage C can tell apart what it asks."""

from pathlib import Path

import numpy as np
import pytest

from evidence import stage_a, stage_b
from evidence.designs import FIRST_SEED, LAYERS, RATES, SCHEDULES, b2, optima, row_of, word, written
from evidence.factorial import BLOCKS, FACTORS, Cell, fit, layout, model_matrix, terms
from evidence.places import DESIGNS, name_of, studies
from evidence.reading import runs_of
from pld_search.spaces.load_study import load_study
from pld_search.statistics.rate_optimum import Optimum, best_rate
from tests.evidence.recorded import Told, record


@pytest.mark.parametrize("stage", ["b1", "c"])
def test_a_study_file_is_what_the_generator_writes(stage: str) -> None:
    texts = written(stage)
    assert texts
    for name, text in texts.items():
        assert (DESIGNS / name).read_text(encoding="utf-8") == text


def test_every_study_can_be_read_and_has_its_own_name_and_seeds() -> None:
    found = {path: load_study(path) for path in studies()}
    assert len(found) >= 8
    for path, study in found.items():
        assert study.name == name_of(path)
    counts = {study.name: len(study.systems) * study.seeds for study in found.values()}
    assert counts["evidence-a"] == stage_a.EXPECTED
    assert counts["evidence-b1"] == stage_b.EXPECTED["B1"]
    assert sum(count for name, count in counts.items() if "-c-" in name) == len(layout()) + BLOCKS
    firsts = [study.experiment.get("seed", 0) for study in found.values() if study.name != "evidence-a"]
    assert len(set(firsts)) == len(firsts)


def test_a_layout_is_every_cell_once_balanced_in_every_block() -> None:
    cells = layout()
    assert len({cell.levels for cell in cells}) == len(cells) == 72
    for block in range(BLOCKS):
        own = [cell for cell in cells if cell.block == block]
        assert len(own) == 12
        for factor, names in enumerate(FACTORS.values()):
            assert {sum(cell.levels[factor] == level for cell in own) for level in range(len(names))} == {
                12 // len(names)
            }
        assert {sum(cell.rate == level for cell in own) for level in range(3)} == {4}


def test_a_layout_tells_apart_what_it_asks_and_keeps_the_information_that_the_design_states() -> None:
    cells = layout()
    x = model_matrix(cells)
    assert np.linalg.matrix_rank(x) == x.shape[1] == 37
    inverse, at = np.linalg.inv(x.T @ x), 1
    kept = {}
    for term, columns in terms(cells).items():
        own = slice(at, at + columns.shape[1])
        alone = np.linalg.inv(columns.T @ columns)
        kept[term] = (np.linalg.det(alone) / np.linalg.det(inverse[own, own])) ** (1 / columns.shape[1])
        at += columns.shape[1]
    assert round(kept["rate x rescale"], 2) == 0.78
    assert min(share for term, share in kept.items() if term != "rate x rescale") > 0.915


def test_the_model_finds_what_was_put_in_and_nothing_else() -> None:
    cells, random = layout(), np.random.default_rng(1)

    def loss(cell: Cell) -> float:
        rising, sublayer = cell.words["direction"] == "rising", cell.words["rescale"] == "sublayer"
        effect = -0.03 * rising + 0.02 * (sublayer and cell.words["saving"] == "24")
        return float(3 + 0.05 * cell.block + 0.01 * (cell.rate - 1) ** 2 + effect + random.normal(0, 0.002))

    found = fit(cells, [loss(cell) for cell in cells])
    small = {each.term: each.p for each in found.tested if each.p < 1e-3}
    assert set(small) == {"direction", "rescale", "saving", "rescale x saving", "rate squared"}
    assert found.freedom == 35
    assert found.sd == pytest.approx(0.002, rel=0.4)
    falling, constant, rising = found.means["direction"]
    assert falling - rising == pytest.approx(0.03, abs=0.003)
    assert falling == pytest.approx(constant, abs=0.003)


def test_a_fit_of_too_few_cells_is_refused() -> None:
    cells = layout()[:36]
    with pytest.raises(ValueError, match="do not identify"):
        fit(cells, [3.0] * len(cells))


def test_f_agrees_with_the_t_of_a_balanced_two_level_factor() -> None:
    """Of one degree of freedom F is t squared: the profile's, from its fitted means and the residual."""
    cells, random = layout(), np.random.default_rng(2)
    found = fit(cells, [float(cell.levels[1] * 0.01 + random.normal(0, 0.01)) for cell in cells])
    x = model_matrix(cells)
    at = 1 + BLOCKS - 1 + 2
    error = found.sd * np.sqrt(np.linalg.inv(x.T @ x)[at, at])
    uniform, linear = found.means["profile"]
    f = next(each.f for each in found.tested if each.term == "profile")
    assert f == pytest.approx(((uniform - linear) / 2 / error) ** 2)


def test_an_optimum_is_the_vertex_within_what_was_tried() -> None:
    def optimum(losses: dict[float, float]) -> Optimum:
        return best_rate(list(losses), list(losses.values()))

    bowl = {lr: 3 + 0.1 * np.log(lr / 1.5e-3) ** 2 for lr in RATES}
    found = optimum(bowl)
    assert found.rate == 1.5e-3 and not found.edge
    assert found.value == pytest.approx(3)
    slope = {1e-3: 3.3, 2e-3: 3.2, 4e-3: 3.1}
    assert optimum(slope).rate == 4e-3 and optimum(slope).edge
    assert optimum({1e-3: 3.0, 2e-3: 3.5, 4e-3: 3.2}).rate == 1e-3  # a hill has no vertex that is a least


def test_b2_is_written_from_what_b1_recorded(tmp_path: Path) -> None:
    rows = [(layers, kind) for layers in LAYERS for kind in SCHEDULES]
    best = {row: 1e-3 * (1 + number / 10) for number, row in enumerate(rows)}
    runs = [
        Told(f"{row_of(*row)}-{word(lr)}", 0, 3.0, valid=3 + 0.1 * float(np.log(lr / best[row])) ** 2, lr=lr)
        for row in rows
        for lr in RATES
    ]
    record("evidence-b1", runs, tmp_path / "runs", tmp_path / "records")
    found = runs_of("evidence-b1", tmp_path / "records")
    assert {row: each.rate for row, each in optima(found).items()} == {
        row_of(*row): pytest.approx(lr, rel=1e-3) for row, lr in best.items()
    }
    path = tmp_path / "b2" / "study.yaml"
    path.parent.mkdir()
    path.write_text(b2(found))
    study = load_study(path)
    assert (study.name, study.seeds, study.experiment["seed"]) == ("evidence-b2", stage_b.SEEDS, FIRST_SEED["b2"])
    assert len(study.systems) * study.seeds == stage_b.EXPECTED["B2"]


def test_b2_is_not_written_before_b1_is_complete(tmp_path: Path) -> None:
    record("evidence-b1", [Told("full-6-2e-3", 0, 3.0)], tmp_path / "runs", tmp_path / "records")
    with pytest.raises(ValueError, match="three rates"):
        b2(runs_of("evidence-b1", tmp_path / "records"))
