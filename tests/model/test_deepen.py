"""Stacks that get deeper in place: where weights come from, and that a deeper model is an ordinary model of
that depth.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pld_search.model.build_model import compile_blocks, masked_lm
from pld_search.model.deepen import as_deep_as, deepen, sources, with_layers
from pld_search.model.surroundings import Surrounding
from pld_search.schedules.plan import Gates
from tests.compiling import fresh_compiler
from tests.model.helpers import gates, inputs, randomise, spec


@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 4))
def test_copies_of_copies_are_those_of_one_growth(before: int, first: int, second: int) -> None:
    middle, after = before * first, before * first * second
    for weights in ("stack", "interleave"):
        one, two = sources(weights, before, middle), sources(weights, middle, after)  # type: ignore[arg-type]
        chained = tuple(one[index] for index in two if index is not None)
        assert chained == sources(weights, before, after)  # type: ignore[arg-type]
        assert [chained.count(index) for index in range(before)] == [first * second] * before
    assert sources("fresh", before, after)[:before] == tuple(range(before))
    with pytest.raises(ValueError, match="cannot be copied"):
        sources("stack", before + 1, before + 2)


@pytest.mark.parametrize("weights", ["stack", "interleave"])
def test_copied_blocks_run_as_the_block_called_again(weights: str) -> None:
    """The output of a stacked model is that of the shallow one whose blocks are called in the new order."""
    shallow, deep = masked_lm(spec(layers=2)).eval(), masked_lm(spec(layers=2)).eval()
    randomise(shallow)
    randomise(deep)
    deepen(deep, spec(layers=4), 0, 4, weights)  # type: ignore[arg-type]
    batch = inputs()
    called = shallow.bert.encoder.blocks
    order = [0, 1, 0, 1] if weights == "stack" else [0, 0, 1, 1]
    x = shallow.bert.embeddings(batch["input_ids"], batch["token_type_ids"])
    for index in order:
        x = called[index](x, Surrounding(batch["attention_mask"].bool()[:, None, None, :]))
    expected = shallow.head(shallow.bert.encoder.finish(x), shallow.bert.embeddings.words.weight)[..., :101]
    assert torch.allclose(deep(**batch).logits, expected, atol=1e-5)
    assert deep(**batch, gates=gates("1010")).loss.isfinite()
    with pytest.raises(ValueError, match="2 gates for 4 blocks"):
        deep(**batch, gates=gates("10"))


def test_fresh_blocks_are_those_of_a_model_that_was_always_that_deep() -> None:
    grown, whole = masked_lm(spec(layers=1), 5), masked_lm(spec(layers=4), 5)
    generator = torch.random.get_rng_state()
    assert deepen(grown, spec(layers=4), 5, 4, "fresh") == {}
    assert grown.config.num_hidden_layers == 4
    mine, theirs = grown.state_dict(), whole.state_dict()
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert grown.training == whole.training
    torch.random.set_rng_state(generator)


def test_the_old_blocks_stay_the_same_objects_and_copies_are_apart() -> None:
    model = masked_lm(spec(layers=2))
    old = list(model.bert.encoder.blocks)
    copied = deepen(model, spec(layers=6), 0, 6, "interleave")
    blocks = list(model.bert.encoder.blocks)
    assert [blocks[0], blocks[3]] == old and len(set(blocks)) == 6
    assert len(copied) == 4 * len(list(old[0].parameters()))
    assert {id(source) for source in copied.values()} == {
        id(parameter) for block in old for parameter in block.parameters()
    }
    assert all(torch.equal(new, source) and new.data_ptr() != source.data_ptr() for new, source in copied.items())


def test_scales_of_another_depth_are_forgotten() -> None:
    model = masked_lm(spec(layers=2))
    model.config.full_depth = Gates((True, True), (0.5, 0.25), "block")
    with as_deep_as(model, 6):
        assert len(model.bert.encoder.blocks) == 6
        assert model(**inputs()).loss.isfinite()
    assert model.config.full_depth == Gates((True, True), (0.5, 0.25), "block") and len(model.bert.encoder.blocks) == 2
    with_layers(model, 2)
    assert model.config.full_depth is not None
    deepen(model, spec(layers=4), 0, 4, "stack")
    assert model.config.full_depth is None
    assert model(**inputs()).loss.isfinite()
    with_layers(model, 3)
    assert (len(model.bert.encoder.blocks), model.config.num_hidden_layers) == (3, 3)


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
def test_new_blocks_need_no_new_graphs() -> None:
    with fresh_compiler() as graphs:
        model = masked_lm(spec(layers=1)).train()
        compile_blocks(model, "eager")
        model(**inputs(), gates=gates("1", 1.5)).loss.backward()
        deepen(model, spec(layers=4), 0, 4, "stack")
        compile_blocks(model, "eager")
        model(**inputs(), gates=gates("1101", 1.25)).loss.backward()
        assert 1 <= graphs.count() <= 2
    assert all(block._compiled_call_impl is not None for block in model.bert.encoder.blocks)


@given(st.integers(1, 8), st.integers(1, 30))
def test_the_middle_is_copied_beside_itself(before: int, more: int) -> None:
    order = sources("middle", before, before + more)
    assert len(order) == before + more
    assert [index for place, index in enumerate(order) if index not in order[:place]] == list(range(before))
    if more <= before:
        first = (before - more) // 2
        copied = list(range(first, first + more))
        assert list(order) == [*range(first + more), *copied, *range(first + more, before)]


def test_new_layers_of_zero_are_the_identity_and_learn() -> None:
    shallow, grown = masked_lm(spec(layers=2), 5).eval(), masked_lm(spec(layers=2), 5).eval()
    randomise(shallow)
    randomise(grown)
    assert deepen(grown, spec(layers=5), 5, 5, "zero") == {}
    batch = inputs()
    assert torch.equal(grown(**batch).logits, shallow(**batch).logits)
    grown(**batch).loss.backward()
    for block in grown.blocks[2:]:
        assert block.attention.out.weight.grad.abs().sum() > 0
        assert block.feed_forward.down.weight.grad.abs().sum() > 0
    fresh = masked_lm(spec(layers=5), 5)
    assert torch.equal(grown.blocks[3].attention.qkv.weight, fresh.blocks[3].attention.qkv.weight)
