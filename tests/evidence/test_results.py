"""The page from recorded data: complete and incomplete stages, known verdicts, numbers that programs can read."""

import json
from pathlib import Path

import numpy as np
import pytest

from evidence import stage_a, stage_b
from evidence.contrasts import Contrast, judge
from evidence.designs import LAYERS, RATES, SCHEDULES, row_of, word
from evidence.factorial import BLOCKS, layout
from evidence.results import NUMBERS, PAGE, write
from tests.evidence.recorded import Told, record

EFFECTS = {"full": 0.0, "pld": 0.02, "random": 0.021, "td-only": 0.06, "same-lr": 0.3}


def run_a(row: str, seed: int, effect: float | None = None) -> Told:
    """A run of stage A: a seed's effect, the row's, and a residual of 0.002 that is the same in every test."""
    noise = np.random.default_rng([seed, *row.encode()]).normal(0, 0.002)
    return Told(row, seed, 3 + 0.1 * seed + (EFFECTS.get(row, 0.0) if effect is None else effect) + float(noise))


def complete_a() -> list[Told]:
    return [run_a(row, seed) for row in stage_a.ROWS for seed in range(stage_a.SEEDS)]


def written(tmp_path: Path) -> tuple[str, dict[str, dict[str, object]]]:
    write(tmp_path / "out", tmp_path / "records")
    return (tmp_path / "out" / PAGE).read_text(), json.loads((tmp_path / "out" / NUMBERS).read_text())


def test_without_records_the_page_says_how_far_every_stage_is(tmp_path: Path) -> None:
    page, numbers = written(tmp_path)
    assert "No run has ended" in page
    assert "| A | 0 of 36 |" in page and "| B2 | 0 of 48 |" in page and "| C | 0 of 78 |" in page
    assert all(stage["ended"] == 0 for stage in numbers.values())
    assert not any((tmp_path / "out" / "pictures").iterdir())


def test_a_stage_that_is_not_complete_has_means_and_no_verdict(tmp_path: Path) -> None:
    runs = [run_a(row, 0) for row in stage_a.ROWS] + [run_a("full", 1)]
    record("evidence-a", runs, tmp_path / "runs", tmp_path / "records")
    page, numbers = written(tmp_path)
    assert "**Not complete: 10 of 36 runs have ended.**" in page
    assert "contrasts" not in numbers["A"]
    assert "verdict" not in page
    assert (tmp_path / "out/pictures/a.svg").is_file() and "](pictures/a.svg)" in page
    rows = numbers["A"]["rows"]
    assert isinstance(rows, dict)
    assert rows["pld"]["difference"] == pytest.approx(run_a("pld", 0).test - run_a("full", 0).test)
    assert rows["full"]["seeds"] == [0, 1] and rows["pld"]["sd"] is None


def test_a_complete_stage_has_the_verdicts_that_were_put_in(tmp_path: Path) -> None:
    record("evidence-a", complete_a(), tmp_path / "runs", tmp_path / "records")
    page, numbers = written(tmp_path)
    found = numbers["A"]["contrasts"]
    assert isinstance(found, dict)
    verdicts = {name: each["verdict"] for name, each in found.items()}
    assert set(verdicts) == {contrast.name for contrast in stage_a.CONTRASTS}
    assert verdicts["pld - full"] == "worse"
    assert verdicts["pld - random"] == "equal within 0.01"
    assert verdicts["pld - td-only"] == "better"
    assert verdicts["full - same-lr"] == "better"
    assert found["pld - full"]["freedom"] == 15 and found["pld - shallow"]["freedom"] == 3
    assert "| pld - td-only |" in page and "**better**" in page


def test_a_contrast_that_lost_a_seed_has_no_verdict(tmp_path: Path) -> None:
    runs = [Told(run.row, run.seed, None) if (run.row, run.seed) == ("shallow", 2) else run for run in complete_a()]
    record("evidence-a", runs, tmp_path / "runs", tmp_path / "records")
    page, numbers = written(tmp_path)
    assert "No verdict, since not every seed finished: pld - shallow, random - shallow." in page
    assert "| `shallow` | 3 (1 diverged) |" in page
    found = numbers["A"]["contrasts"]
    assert isinstance(found, dict) and len(found) == 4


def test_writing_twice_writes_the_same(tmp_path: Path) -> None:
    record("evidence-a", complete_a(), tmp_path / "runs", tmp_path / "records")
    files = []
    for _ in range(2):
        write(tmp_path / "out", tmp_path / "records")
        files.append({path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()})
    assert files[0] == files[1] and len(files[0]) == 3


def test_b_compares_the_two_rows_that_b1_named(tmp_path: Path) -> None:
    def truth(layers: int, kind: str) -> float:
        return 3 + 0.1 * (layers - 4) ** 2 + 0.04 * (kind == "falling") + 0.02 * (kind == "rising")

    rows = [(layers, kind) for layers in LAYERS for kind in SCHEDULES]
    b1 = [
        Told(f"{row_of(*row)}-{word(lr)}", 0, 3.0, valid=truth(*row) + float(np.log(lr / 2e-3)) ** 2, lr=lr)
        for row in rows
        for lr in RATES
    ]
    noise = np.random.default_rng(0)
    b2 = [
        Told(row_of(*row), seed, truth(*row) + float(noise.normal(0, 0.001)), lr=2e-3)
        for row in rows
        for seed in range(100, 100 + stage_b.SEEDS)
    ]
    record("evidence-b1", b1, tmp_path / "runs", tmp_path / "records")
    record("evidence-b2", b2, tmp_path / "runs", tmp_path / "records")
    page, numbers = written(tmp_path)
    assert numbers["B1"]["chosen"] == ["constant-4", "full-4"]
    primary, secondary = numbers["B2"]["primary"], numbers["B2"]["secondary"]
    assert isinstance(primary, dict) and isinstance(secondary, dict)
    assert primary["constant-4 - full-4"]["verdict"] == "equal within 0.01"
    assert primary["constant-4 - full-4"]["freedom"] == 9  # of equal depth: four rows share the residual
    assert secondary["falling-3 - full-3"]["verdict"] == "worse" and len(secondary) == 9
    assert "Best dropped row: **`constant-4`**" in page
    assert {path.name for path in (tmp_path / "out/pictures").iterdir()} == {"b1.svg", "b2.svg"}


def test_c_names_what_moves_the_loss(tmp_path: Path) -> None:
    noise, cells = np.random.default_rng(3), layout()
    for block in range(BLOCKS):
        runs = [
            Told(cell.name, 0, 3 + 0.05 * block - 0.02 * (cell.words["direction"] == "rising") + noise.normal(0, 0.002))
            for cell in cells
            if cell.block == block
        ]
        record(f"evidence-c-block-{block}", [Told("full", 0, 2.9), *runs], tmp_path / "runs", tmp_path / "records")
    page, numbers = written(tmp_path)
    terms = numbers["C"]["terms"]
    assert isinstance(terms, dict)
    assert [term for term, each in terms.items() if each["adjusted"] <= 0.05] == ["direction"]
    assert "| direction | 2 |" in page and (tmp_path / "out/pictures/c.svg").is_file()


def test_pairs_and_a_pooled_residual_agree_with_what_is_computed_by_hand() -> None:
    values = {
        "one": {0: 1.00, 1: 1.10, 2: 1.25},
        "two": {0: 1.02, 1: 1.11, 2: 1.20},
        "three": {0: 0.99, 1: 1.14, 2: 1.22},
    }
    table = np.array([list(row.values()) for row in values.values()])
    residuals = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
    pooled, own = judge(values, [Contrast("one", "two", ("one", "two", "three")), Contrast("one", "two")])
    assert [pooled.difference, own.difference] == pytest.approx([(table[0] - table[1]).mean()] * 2)
    assert pooled.error == pytest.approx(np.sqrt((residuals**2).sum() / 4 * 2 / 3)) and pooled.freedom == 4
    assert own.error == pytest.approx((table[0] - table[1]).std(ddof=1) / np.sqrt(3)) and own.freedom == 2
