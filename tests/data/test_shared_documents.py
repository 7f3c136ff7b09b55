"""Documents that stand in two splits: refused, unless they are as few as headings are."""

from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.data.prepare_data import prepare
from pld_search.errors import DataError
from pld_search.specs.template import EvaluationTemplate
from tests.data.conftest import paragraph, tiny_data


def prepared(folder: Path, tmp_path: Path, **changes: object) -> list[str]:
    told: list[str] = []
    prepare(
        tiny_data(folder, **changes),
        EvaluationTemplate(),
        tmp_path / "cache",
        places={},
        base=tmp_path,
        progress=told.append,
    )
    return told


def test_a_held_out_file_that_is_trained_on_is_refused(texts: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DataError,
        match=(
            r"[0-9]+ documents of the validation text stand in the train text as well .*state files that do not "
            r"overlap"
        ),
    ):
        prepared(texts, tmp_path, validation={"text": [str(texts / "a.txt")]})


def test_two_held_out_texts_are_compared_as_well(texts: Path, tmp_path: Path) -> None:
    for name in ("v.text", "t.text"):
        (tmp_path / name).write_text("\n\n".join(paragraph(seed) for seed in range(90, 99)))
    stated = {name: {"text": [str(tmp_path / f"{name[0]}.text")]} for name in ("validation", "test")}
    with pytest.raises(DataError, match="9 documents of the test text stand in the validation text"):
        prepared(texts, tmp_path, **stated)


def test_a_few_headings_are_counted_and_kept(texts: Path, tmp_path: Path) -> None:
    (texts / "a.txt").write_text("== History ==\n\n" + (texts / "a.txt").read_text())
    (tmp_path / "v.text").write_text("== History ==\n\n" + "\n\n".join(paragraph(seed) for seed in range(90, 120)))
    told = prepared(texts, tmp_path, validation={"text": [str(tmp_path / "v.text")]})
    assert "1 documents stand in train and validation: few, as headings are, and kept in both" in told
