from __future__ import annotations

import numpy as np
import pytest

from pld_search.data.batches import Batches, held_out_indices, validation
from pld_search.data.batches import test as held_out_test
from pld_search.data.masking import IGNORED
from pld_search.data.packed_corpus import Corpus
from pld_search.specs.experiment import Batch, Data


def data_of(corpus: Corpus, length: int = 16) -> Data:
    return Data(corpus=corpus.digest, tokenizer=corpus.tokenizer_digest, length=length)


def test_an_epoch_reads_every_sequence_once(tiny: Corpus) -> None:
    batches = Batches(tiny, data_of(tiny), Batch(sequences=7), seed=3, total=100)
    n = len(batches.rows(0))
    assert n == len(tiny.split("train", 16)) > 50
    steps = -(-3 * n // 7)
    stream = np.concatenate([batches.indices(step) for step in range(steps)])
    epochs = [stream[i * n : (i + 1) * n] for i in range(3)]
    assert all(np.array_equal(np.sort(epoch), np.arange(n)) for epoch in epochs)
    assert not np.array_equal(epochs[0], epochs[1])


def test_a_batch_larger_than_an_epoch(tiny: Corpus) -> None:
    n = len(Batches(tiny, data_of(tiny), Batch(sequences=1), 0, 100).rows(0))
    indices = Batches(tiny, data_of(tiny), Batch(sequences=2 * n + 5), 0, 100).indices(0)
    counts = np.bincount(indices, minlength=n)
    assert (counts.min(), int((counts == 3).sum())) == (2, 5)


def test_a_step_is_a_pure_function_of_seed_and_step(tiny: Corpus) -> None:
    batch = Batch(sequences=8, groups=2)
    here, there = (Batches(tiny, data_of(tiny), batch, seed=1, total=100) for _ in range(2))
    later = here.at(20)
    for step in (3, 20):
        assert np.array_equal(here.at(step).input_ids, there.at(step).input_ids)
    assert np.array_equal(later.input_ids, here.at(20).input_ids)
    assert not np.array_equal(later.input_ids, Batches(tiny, data_of(tiny), batch, seed=2, total=100).at(20).input_ids)


def test_labels_are_the_tokens_of_the_rows(tiny: Corpus) -> None:
    batches = Batches(tiny, data_of(tiny), Batch(sequences=8), seed=0, total=100)
    masked = batches.at(4)
    rows = tiny.split("train", 16).rows(batches.indices(4))
    assert masked.input_ids.shape == (8, 16)
    assert masked.positions.shape == (8, data_of(tiny).predictions(16))
    real = masked.labels != IGNORED
    assert real.all()
    assert np.array_equal(np.take_along_axis(rows, masked.positions, axis=1), masked.labels)


@pytest.mark.parametrize("step", [0, 19, 99])
def test_a_part_of_a_batch_is_masked_as_in_the_whole(tiny: Corpus, step: int) -> None:
    batches, own = Batches(tiny, data_of(tiny), Batch(sequences=8, groups=2), seed=3, total=100), np.array([6, 2, 3])
    whole, part = batches.at(step), batches.at(step, own)
    for name in ("input_ids", "positions", "labels"):
        assert np.array_equal(getattr(part, name), getattr(whole, name)[own])
    assert batches.predicted(step) == whole.predicted > part.predicted > 0


def test_held_out_batches_are_the_same_for_every_chunk(tiny: Corpus) -> None:
    whole = list(validation(tiny, data_of(tiny, 8), 1000))
    cut = list(validation(tiny, data_of(tiny, 8), 1000, chunk=3))
    assert len(whole) == 1
    assert len(cut) == -(-len(whole[0]) // 3) > 1
    for name in ("input_ids", "positions", "labels"):
        assert np.array_equal(getattr(whole[0], name), np.concatenate([getattr(part, name) for part in cut]))


def test_validation_and_test_read_their_own_split(tiny: Corpus) -> None:
    for read, name in ((validation, "validation"), (held_out_test, "test")):
        (masked,) = read(tiny, data_of(tiny, 8), 5)
        split = tiny.split(name, 8)
        rows = split.rows(held_out_indices(len(split), 5))
        restored = masked.input_ids.copy()
        np.put_along_axis(
            restored, masked.positions, np.where(masked.labels == IGNORED, restored[:, :1], masked.labels), axis=1
        )
        assert np.array_equal(restored, rows)


@pytest.mark.parametrize(
    ("available", "wanted", "expected"), [(10, 5, [0, 2, 4, 6, 8]), (3, 9, [0, 1, 2]), (7, 3, [0, 2, 4])]
)
def test_held_out_rows_are_spread_over_the_split(available: int, wanted: int, expected: list[int]) -> None:
    assert held_out_indices(available, wanted).tolist() == expected


def staged(tiny: Corpus, lengths: dict[str, int], seed: int = 3, sequences: int = 7, total: int = 100) -> Batches:
    data = Data.model_validate({**data_of(tiny).model_dump(), "length": lengths})
    return Batches(tiny, data, Batch(sequences=sequences), seed, total)


def test_a_stage_of_length_reads_its_own_packing_in_its_own_order(tiny: Corpus) -> None:
    batches, short = (
        staged(tiny, {"0 %": 16, "90 %": 32}),
        Batches(tiny, data_of(tiny), Batch(sequences=7), seed=3, total=100),
    )
    for step in (0, 89):  # the first stage is a run of that length alone
        assert np.array_equal(batches.at(step).input_ids, short.at(step).input_ids)
    n = len(tiny.split("train", 32))
    steps = -(-2 * n // 7)
    longer = staged(tiny, {"0 %": 16, "50 steps": 32}, total=50 + steps)
    stream = np.concatenate([longer.indices(50 + step) for step in range(steps)])
    epochs = [stream[:n], stream[n : 2 * n]]
    assert all(np.array_equal(np.sort(epoch), np.arange(n)) for epoch in epochs)
    assert not np.array_equal(*epochs)
    alone = Batches(tiny, data_of(tiny, 32), Batch(sequences=7), seed=3, total=100)
    # an order of its own, not that of a run of its length
    assert not np.array_equal(longer.indices(50), alone.indices(0))
    masked, rows = longer.at(51), tiny.split("train", 32).rows(longer.indices(51))
    assert masked.input_ids.shape == (7, 32)
    assert masked.positions.shape == (7, data_of(tiny).predictions(32))
    assert np.array_equal(np.take_along_axis(rows, masked.positions, axis=1), masked.labels)


def test_stages_are_pure_functions_of_the_step(tiny: Corpus) -> None:
    here, there = (staged(tiny, {"0 %": 8, "40 %": 16, "80 %": 32}) for _ in range(2))
    backwards = {step: there.at(step).input_ids for step in reversed(range(36, 84))}
    for step, ids in sorted(backwards.items()):
        assert np.array_equal(here.at(step).input_ids, ids)
        assert ids.shape[1] == (8 if step < 40 else 16 if step < 80 else 32)


def test_held_out_text_is_read_at_the_last_length(tiny: Corpus) -> None:
    data = Data.model_validate({**data_of(tiny).model_dump(), "length": {"0 %": 4 * 2, "90 %": 16}})
    (masked,), (alone,) = (list(validation(tiny, each, 5)) for each in (data, data_of(tiny)))
    assert masked.input_ids.shape[1] == 16
    assert np.array_equal(masked.input_ids, alone.input_ids)
