"""Losses by documents: every prediction counts for the document that it lies in, against a search by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pld_search.data import batches
from pld_search.data.held_out_documents import document_blocks, summed
from pld_search.data.masking import IGNORED
from pld_search.data.packed_corpus import Corpus
from pld_search.specs.experiment import Data

SHAPE = {"corpus": "sha256:" + "0" * 64, "tokenizer": "sha256:" + "0" * 64, "length": 16}


@pytest.mark.parametrize(("sequences", "most"), [(7, 512), (1000, 512), (1000, 3)])
def test_every_prediction_lies_in_the_document_that_holds_its_token(tiny: Corpus, sequences: int, most: int) -> None:
    data = Data.model_validate(SHAPE)
    blocks = document_blocks(tiny, data, "validation", sequences, most)
    bounds = [int(bound) for bound in tiny.document_starts("validation")]
    seen: dict[int, int] = {}
    first, touched = 0, set()
    for chunk in batches.validation(tiny, data, sequences, chunk=4):
        at = blocks.at(first, chunk.positions)
        for row in range(len(chunk)):
            number = int(blocks.rows[first + row])
            for place, label in zip(chunk.positions[row], chunk.labels[row], strict=True):
                if label != IGNORED:
                    token = bounds[0] + number * 15 + int(place) - 1
                    document = next(i for i in range(len(bounds) - 1) if bounds[i] <= token < bounds[i + 1])
                    seen.setdefault(document, int(at[row, list(chunk.positions[row]).index(place)]))
                    assert seen[document] == at[row, list(chunk.positions[row]).index(place)]
            span = range(bounds[0] + number * 15, bounds[0] + number * 15 + 15)
            touched |= {i for i in range(len(bounds) - 1) if bounds[i] < span.stop and bounds[i + 1] > span.start}
        first += len(chunk)
    assert first == len(blocks.rows) <= sequences
    assert (blocks.documents, blocks.blocks) == (len(touched), min(len(touched), most))
    order = [seen[document] for document in sorted(seen)]
    assert order == sorted(order) and max(order) < blocks.blocks
    sizes = np.bincount([number * blocks.blocks // len(touched) for number in range(len(touched))])
    assert sizes.max() - sizes.min() <= 1


def test_sums_and_counts_are_those_of_what_is_there(tiny: Corpus) -> None:
    blocks = document_blocks(tiny, Data.model_validate(SHAPE), "test", 4, 2)
    losses = np.array([[1.0, 2.0], [4.0, 8.0]])
    found = summed(blocks, losses, np.array([[True, True], [False, True]]), np.array([[0, 1], [1, 1]]))
    assert found.tolist() == [[1.0, 10.0], [1.0, 2.0]]
