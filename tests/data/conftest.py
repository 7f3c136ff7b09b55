"""Small corpora and tokenizers that data tests share; the demo is prepared once a session."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from pld_search.data.packed_corpus import Corpus
from pld_search.data.prepare_data import prepare
from pld_search.data.wordpiece import SPECIAL_TOKENS, WordPiece
from pld_search.specs.prepared_data import Prepared
from pld_search.specs.template import DataTemplate, EvaluationTemplate

settings.register_profile("no clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no clock")

WORDS = [
    "the",
    "a",
    "of",
    "and",
    "senate",
    "house",
    "budget",
    "river",
    "winter",
    "nation",
    "people",
    "law",
    "trade",
    "peace",
    "war",
    "year",
    "treaty",
]
SHARED = Path(__file__).parents[3] / "shared" / "data"


def paragraph(seed: int) -> str:
    """A few made-up sentences."""
    drawn = random.Random(seed)
    lines = [
        " ".join(drawn.choices(WORDS, k=drawn.randint(5, 15))).capitalize() + drawn.choice(".!?")
        for _ in range(drawn.randint(2, 6))
    ]
    return " ".join(lines)


def tiny_data(folder: Path, **changes: object) -> DataTemplate:
    """A template over `folder/*.txt`, one document a paragraph."""
    written = {
        "train": {"text": [str(folder / "*.txt")]},
        "document": "paragraph",
        "tokenizer": {"train": "wordpiece", "vocabulary": 150},
        "length": 16,
        **changes,
    }
    return DataTemplate.model_validate(written)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A folder with two text files of 60 paragraphs in all."""
    folder = tmp_path / "texts"
    folder.mkdir()
    for name, seeds in (("a.txt", range(30)), ("b.txt", range(30, 60))):
        (folder / name).write_text("\n\n".join(paragraph(seed) for seed in seeds) + "\n")
    return folder


@pytest.fixture
def tiny(texts: Path, tmp_path: Path) -> Corpus:
    """That folder, prepared."""
    prepared = prepare(tiny_data(texts), EvaluationTemplate(), tmp_path / "cache", places={}, base=tmp_path)
    return Corpus(prepared.corpus.folder)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The demo corpus and its tasks as the demo study prepares them."""
    data = DataTemplate.model_validate(
        {
            "train": "demo",
            "validation": 0.1,
            "test": 0.1,
            "tokenizer": {"train": "wordpiece", "vocabulary": 1024},
            "length": 32,
        }
    )
    folder = tmp_path_factory.mktemp("demo")
    return prepare(data, EvaluationTemplate(tasks="demo"), folder, places={}, base=folder)


@pytest.fixture(scope="session")
def letters() -> WordPiece:
    """A tokenizer whose pieces are single characters."""
    characters = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'\"-[]"
    return WordPiece((*SPECIAL_TOKENS, *characters, *(f"##{character}" for character in characters)))
