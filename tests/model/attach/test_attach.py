"""What `attach` finds, refuses and lets pass, on models small enough to write down."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import BertConfig, BertModel

import pld_search
from pld_search.costs.load_schedule import load_schedule
from pld_search.errors import AttachError, ConfigError
from pld_search.model.attach.layer_drop import Drop, attach
from pld_search.schedules.gates import RowGates
from pld_search.schedules.library import names
from pld_search.schedules.plan import Plan
from tests.model.attach.architectures import ARCHITECTURES, BATCH, LAYERS
from tests.model.attach.test_architectures import HALF, STEPS, changing_steps
from tests.model.helpers import randomise

SKIPS_FIRST = {**HALF, "depth": {"kind": "uniform"}}
NEVER = {**HALF, "temporal": {"kind": "constant", "value": 0.0}, "depth": {"kind": "uniform"}, "rescale": "none"}


class Block(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)

    def forward(self, x: Any, *rest: Any, **more: Any) -> Any:
        return x + self.inner(x)


class Stacked(nn.Module):
    """Walks through its blocks as `walk` says."""

    def __init__(
        self, walk: Callable[[nn.Module, Any], Any], blocks: list[nn.Module], kind: type = nn.ModuleList
    ) -> None:
        super().__init__()
        self.blocks = kind(blocks) if kind is nn.ModuleList else kind(*blocks)
        self.walk = walk

    def forward(self, x: Any) -> Any:
        return self.walk(self.blocks, x)


def in_order(blocks: Any, x: Any) -> Any:
    for block in blocks:
        x = block(x)
    return x


def by_index(blocks: Any, x: Any) -> Any:
    for index in range(len(blocks)):
        x = blocks[index](x)
    return x


def sliced(blocks: Any, x: Any) -> Any:
    for block in blocks[: len(blocks)]:
        x = block(x)
    return x


def by_name(blocks: Any, x: Any) -> Any:
    for block in blocks:
        x = block(x=x)
    return x


@pytest.mark.parametrize(
    ("walk", "kind"),
    [
        (in_order, nn.ModuleList),
        (by_index, nn.ModuleList),
        (sliced, nn.ModuleList),
        (by_name, nn.ModuleList),
        (lambda s, x: s(x), nn.Sequential),
    ],
)
def test_every_way_to_walk(walk: Any, kind: type) -> None:
    model = Stacked(walk, [Block() for _ in range(LAYERS)], kind)
    randomise(model)
    drop, x = attach(model, HALF, steps=STEPS), torch.randn(3, 4)
    for step in changing_steps(drop, 3):
        gates, y = drop.plan.gates(step, 0), x
        for keep, scale, block in zip(gates.keep, gates.scale, model.blocks, strict=True):
            y = y + (y + block.inner(y) - y) * scale if keep and scale != 1.0 else block(y) if keep else y
        with drop.step(step):
            assert torch.equal(model(x), y)


class Pair(Block):
    def forward(self, x: Any, *rest: Any, **more: Any) -> Any:
        return super().forward(x), None


class Mapped(Block):
    def forward(self, x: Any, *rest: Any, **more: Any) -> Any:
        return {"hidden": super().forward(x), "extra": None}


class Carrying(Block):
    def forward(self, x: Any, *rest: Any, **more: Any) -> Any:
        return super().forward(x), x.sum()


class Lying(Block):
    def forward(self, x: Any, *rest: Any, **more: Any) -> Tensor:
        return super().forward(x), None  # type: ignore[return-value]


class Wider(Block):
    def forward(self, x: Any, *rest: Any, **more: Any) -> Any:
        return torch.cat((x, x), dim=-1)


@pytest.mark.parametrize(("kind", "take"), [(Pair, lambda out: out[0]), (Mapped, lambda out: out["hidden"])])
def test_a_skipped_block_returns_the_form_of_the_others(kind: type[Block], take: Any) -> None:
    def walk(blocks: Any, x: Any) -> Any:
        for block in blocks:
            output = block(x)
            assert len(output) == 2
            x = take(output)
        return x

    model = Stacked(walk, [kind() for _ in range(LAYERS)])
    state, drop, x = torch.random.get_rng_state(), attach(model, NEVER, steps=STEPS), torch.randn(3, 4)
    state = torch.random.get_rng_state()
    with drop.step(0):
        assert model(x) is x
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("kind", "schedule", "message"),
    [
        (Carrying, NEVER, "returns more than hidden states"),
        (Lying, SKIPS_FIRST, "another form"),
        (Wider, HALF, "no residual block"),
    ],
)
def test_blocks_that_cannot_be_skipped(kind: type[Block], schedule: dict[str, Any], message: str) -> None:
    def walk(blocks: Any, x: Any) -> Any:
        for block in blocks:
            output = block(x)
            x = output[0] if isinstance(output, tuple) else output
        return x

    drop, x = attach(model := Stacked(walk, [kind() for _ in range(LAYERS)]), schedule, steps=STEPS), torch.randn(3, 4)
    with pytest.raises(AttachError, match=message):
        for step in sorted(range(STEPS), key=lambda step: drop.plan.gates(step, 0).keep):
            with drop.step(step):
                model(x)


def tiny_bert() -> Any:
    return ARCHITECTURES["BERT"].build()


@pytest.mark.parametrize("blocks", [None, "encoder.layer", "bert.encoder.layer", "layer"])
def test_blocks_are_found(blocks: str | None) -> None:
    assert attach(tiny_bert(), HALF, steps=STEPS, blocks=blocks).path == "bert.encoder.layer"


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (
            "encoder.layers",
            r"blocks='encoder.layers' is not in this BertForMaskedLM; found: bert.encoder.layer \(4 x "
            r"BertLayer\); did you mean encoder.layer\?",
        ),
        (
            "encoder",
            r"is no list of blocks \(bert.encoder is a BertEncoder\); found: bert.encoder.layer \(4 x BertLayer\)",
        ),
    ],
)
def test_a_wrong_path_says_what_there_is(blocks: str, message: str) -> None:
    with pytest.raises(AttachError, match=message):
        attach(tiny_bert(), HALF, steps=STEPS, blocks=blocks)


def test_several_stacks_or_none() -> None:
    both = nn.ModuleDict(
        {"encoder": Stacked(in_order, [Block(), Block()]), "decoder": Stacked(in_order, [Block(), Block()])}
    )
    with pytest.raises(
        AttachError, match=r"several stacks .* found: encoder.blocks \(2 x Block\), decoder.blocks \(2 x Block\)"
    ):
        attach(both, HALF, steps=STEPS)
    with pytest.raises(AttachError, match="is the end of several paths"):
        attach(both, HALF, steps=STEPS, blocks="blocks")
    assert attach(both, HALF, steps=STEPS, blocks="decoder.blocks").path == "decoder.blocks"
    with pytest.raises(AttachError, match="no stack of blocks"):
        attach(nn.Linear(2, 2), HALF, steps=STEPS)
    shared = Block()
    with pytest.raises(AttachError, match="one block several times"):
        attach(Stacked(in_order, [shared, shared]), HALF, steps=STEPS, blocks="blocks")


def test_attached_twice() -> None:
    model = tiny_bert()
    attach(model, HALF, steps=STEPS)
    with pytest.raises(AttachError, match="attached already"):
        attach(model, HALF, steps=STEPS)


@pytest.mark.parametrize(
    ("given", "path", "message"),
    [
        ({"schedule": "pld"}, ("rescale",), "attach(..., rescale='block')"),
        (
            {"schedule": {"base": "pld", "draw.unit": "sublayer"}, "rescale": "none"},
            ("draw", "unit"),
            "cannot be distinguished",
        ),
        ({"schedule": "pld-deepspeed", "rescale": "block"}, ("skipped",), "attach(..., skipped='freeze')"),
        ({"schedule": "pld", "rescale": "sublayer"}, ("rescale",), "block | none | evaluation"),
        ({"schedule": HALF, "skipped": "decay"}, ("skipped",), "freeze"),
    ],
)
def test_what_a_schedule_cannot_ask_for(given: dict[str, Any], path: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        attach(tiny_bert(), steps=STEPS, **given)
    assert [(problem.path, message in str(problem)) for problem in caught.value.problems] == [(path, True)]


@pytest.mark.parametrize("name", names())
def test_the_library_attaches_with_overrides(name: str) -> None:
    shipped = load_schedule(name, layers=LAYERS, steps=200)
    if shipped.draw.unit == "sublayer":
        return
    rescale = "none" if shipped.rescale == "none" else "block"
    drop = attach(model := tiny_bert(), name, steps=200, rescale=rescale, skipped="freeze", sequences=48)
    batch, strata = ARCHITECTURES["BERT"].batch(), shipped.draw.strata or BATCH
    size = strata if strata <= BATCH else 0
    if size:
        with drop.step(150):
            model(**{key: value[:size] for key, value in batch.items()})


def test_a_schedule_as_a_value_a_mapping_and_a_name() -> None:
    value = load_schedule("pld", layers=LAYERS, steps=STEPS)
    plans = [
        attach(tiny_bert(), given, steps=STEPS, rescale="block", seed=3).plan
        for given in ("pld", value, {"base": "pld"})
    ]
    assert plans[0].digest() == plans[1].digest() == plans[2].digest()


def test_steps_out_of_turn() -> None:
    drop = attach(model := tiny_bert(), HALF, steps=STEPS, first_step=5)
    for step, group in ((4, 0), (STEPS, 0), (6, 1), (-1, 0)):
        with pytest.raises(AttachError, match=r"steps 5 .. 39 and groups 0 .. 0"), drop.step(step, group):
            pass
    with drop.step(5), pytest.raises(AttachError, match="inside another step"):
        model(**ARCHITECTURES["BERT"].batch())
        drop.open(6)
    assert drop.completed == 6
    assert (
        repr(drop)
        == f"<drop: bert.encoder.layer, {LAYERS} blocks under {drop.plan.schedule.name or 'schedule'}, 6 of 40 steps>"
    )
    with pytest.raises(AttachError, match=r"no training pass came through bert\.encoder\.layer"), drop.step(6):
        copy.deepcopy(model)(**ARCHITECTURES["BERT"].batch())
    with pytest.raises(ZeroDivisionError), drop.step(7):
        raise ZeroDivisionError
    drop.detach()
    assert repr(drop) == "<drop: detached from bert.encoder.layer>"
    with pytest.raises(AttachError, match="was detached"), drop.step(8):
        pass


def test_the_plan_is_the_trainings() -> None:
    """One implementation: the gates are those of a Plan with the same seed, whatever the process did before."""
    plan = Plan(load_schedule("pld", layers=LAYERS, steps=STEPS, sets=["rescale=block"]), 3, STEPS, LAYERS, 2)
    drop = attach(tiny_bert(), "pld", steps=STEPS, rescale="block", seed=3, groups=2)
    assert drop.plan.digest() == plan.digest()
    assert drop.layers_kept(30) == sum(sum(plan.gates(30, group).keep) for group in (0, 1)) / 2
    assert drop.theta(30) == float(plan.schedule.theta(30, STEPS))


def test_a_cache_passes_through() -> None:
    model = ARCHITECTURES["GPT-2"].build()
    drop, ids = attach(model, HALF, steps=STEPS), torch.arange(4, 10)[None]
    (step,) = changing_steps(drop, 1)
    with drop.step(step):
        filled = model(ids, use_cache=True).past_key_values
    keep = drop.plan.gates(step, 0).keep
    lengths = [filled.get_seq_length(layer) if layer < len(filled.layers) else 0 for layer in range(LAYERS)]
    assert lengths == [6 * kept for kept in keep]
    with torch.no_grad():
        past = model.eval()(ids[:, :5], use_cache=True).past_key_values
        torch.testing.assert_close(model(ids[:, 5:], past_key_values=past).logits[:, -1], model(ids).logits[:, -1])


@pytest.mark.parametrize("asked", ["output_hidden_states", "output_attentions"])
def test_recorded_outputs_are_true_or_refused(asked: str) -> None:
    open_gates = {**HALF, "temporal": {"kind": "constant", "value": 1.0}}
    for name, architecture in ARCHITECTURES.items():
        model, batch = architecture.build(attn_implementation="eager"), architecture.batch()
        drop = attach(model, open_gates, steps=STEPS)
        with drop.step(0):
            assert len(getattr(model(**batch, **{asked: True}), asked.removeprefix("output_"))) == LAYERS + (
                asked == "output_hidden_states"
            )
        drop.detach()
        drop = attach(model, HALF, steps=STEPS)
        (step,) = changing_steps(drop, 1)
        if name == "DeBERTa-v2":
            with drop.step(step):
                found = getattr(model(**batch, **{asked: True}), asked.removeprefix("output_"))
            if asked == "output_attentions":
                assert [attention is not None for attention in found] == list(drop.plan.gates(step, 0).keep)
            continue
        with pytest.raises(AttachError, match=asked), drop.step(step):
            model(**batch, **{asked: True})


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpoint_around_the_stack(reentrant: bool) -> None:
    model = Stacked(in_order, [Block() for _ in range(LAYERS)])
    drop, x = attach(model, HALF, steps=STEPS), torch.randn(3, 4, requires_grad=True)
    (step,) = changing_steps(drop, 1)
    with drop.step(step):
        checkpoint(model, x, use_reentrant=reentrant).sum().backward()
    assert [block.inner.weight.grad is not None for block in model.blocks] == list(drop.plan.gates(step, 0).keep)
    with drop.step(step):
        loss = checkpoint(model, x, use_reentrant=reentrant).sum()
    with pytest.raises(AttachError, match="call backward inside `step`"):
        loss.backward()


def test_zero3_is_refused() -> None:
    model, batch = tiny_bert(), ARCHITECTURES["BERT"].batch()
    for parameter in model.parameters():
        parameter.ds_id = 1
    with pytest.raises(AttachError, match="ZeRO-1 or 2"), attach(model, HALF, steps=STEPS).step(0):
        model(**batch)


def test_data_parallel_is_refused() -> None:
    with pytest.raises(AttachError, match="use DDP"):
        attach(nn.DataParallel(tiny_bert()), HALF, steps=STEPS)
    model = tiny_bert()
    drop = attach(model, HALF, steps=STEPS)
    replica = model.bert.encoder.layer._replicate_for_data_parallel()
    with pytest.raises(AttachError, match="use DDP"), drop.step(0):
        list(replica)


ROWS = {**HALF, "draw": {"kind": "bernoulli", "per": "sequence", "unit": "layer", "strata": 3}}


def rows_of(model: nn.Module, **given: Any) -> Drop:
    return attach(model, ROWS, steps=STEPS, **{"sequences": 6, **given})


def test_rows_that_cannot_be_cut() -> None:
    with pytest.raises(AttachError, match=r"needs the number of sequences"):
        rows_of(tiny_bert(), sequences=None)
    torch_encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(8, 2, batch_first=False), 2, enable_nested_tensor=False
    )
    with pytest.raises(AttachError, match="batch_first=False"):
        rows_of(torch_encoder)
    drop, batch = rows_of(model := tiny_bert()), ARCHITECTURES["BERT"].batch()
    for size, first in ((4, 0), (6, 3), (3, 1)):
        with pytest.raises(AttachError, match="does not fit"), drop.step(0, first=first):
            model(**{key: value[:size] for key, value in batch.items()})
    drop, batch = rows_of(model := ARCHITECTURES["GPT-2"].build()), ARCHITECTURES["GPT-2"].batch()
    with pytest.raises(AttachError, match=r"'past_key_values' is a cache.*use_cache=False"), drop.step(0):
        model(**batch)


class Biased(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x: Any, bias: Any = None, attention_mask: Any = None) -> Any:
        return x + self.inner(x) + (0 if bias is None else bias)


@pytest.mark.parametrize(
    ("bias", "message"),
    [
        (torch.ones(6, 4), r"'bias' is a tensor of shape \(6, 4\)"),
        (object(), "'bias' is a object"),
        (torch.ones(1, 4), None),
        (0.5, None),
    ],
)
def test_arguments_of_unknown_meaning(bias: Any, message: str | None) -> None:
    model = Stacked(
        lambda blocks, x: [x := block(x, bias=bias) for block in blocks][-1], [Biased() for _ in range(LAYERS)]
    )
    drop = rows_of(model)
    if message is None:
        with drop.step(0):
            model(torch.randn(6, 4))
    else:
        with pytest.raises(AttachError, match=message), drop.step(0):
            model(torch.randn(6, 4))


def test_rows_cost_what_they_are() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    model, x = Stacked(in_order, [Block() for _ in range(LAYERS)]), torch.randn(6, 4)
    drop = rows_of(model)
    gates = drop.plan.at(3, 0)
    assert isinstance(gates, RowGates)
    with FlopCounterMode(display=False) as counter, drop.step(3):
        model(x)
    assert counter.get_total_flops() == sum(map(len, gates.rows)) * 2 * 4 * 4
    assert drop.layers_kept(3) == sum(map(len, gates.rows)) / 6


def test_public_names() -> None:
    assert pld_search.attach is attach
    assert re.search(r"\battach\b", pld_search.__doc__ or "")


def test_dropout_and_autocast_pass() -> None:
    model = BertModel(
        BertConfig(hidden_size=32, num_hidden_layers=LAYERS, num_attention_heads=4, intermediate_size=48, vocab_size=61)
    ).train()
    drop = attach(model, HALF, steps=STEPS)
    (step,) = changing_steps(drop, 1)
    with drop.step(step), torch.autocast("cpu", torch.bfloat16):
        model(torch.arange(12)[None]).last_hidden_state.sum().backward()
    assert sum(
        any(parameter.grad is not None for parameter in layer.parameters()) for layer in model.encoder.layer
    ) == sum(drop.plan.gates(step, 0).keep)


class InPlace(Block):
    def forward(self, x: Any, *rest: Any, **more: Any) -> Any:
        x += self.inner(x)
        return x


class MaskFirst(Block):
    def forward(self, mask: Tensor, x: Tensor) -> Tensor:
        return x + self.inner(x) * mask


class Nameless(Block):
    def forward(self, mask: Tensor, states: Tensor) -> Tensor:
        return states + self.inner(states) * mask


def test_a_block_that_writes_into_its_input_loses_no_scale_in_silence() -> None:
    model = Stacked(lambda blocks, x: in_order(blocks, x + 0), [InPlace() for _ in range(LAYERS)])
    drop = attach(model, HALF, steps=STEPS)
    (step, *_) = changing_steps(drop, 1)
    with drop.step(step), pytest.raises(AttachError, match="InPlace writes into its input in place"):
        model(torch.randn(3, 4))
    drop.detach()
    free = attach(model, {**HALF, "rescale": "none"}, steps=STEPS)
    with free.step(step):
        model(torch.randn(3, 4))  # nothing is scaled, so nothing is lost


@pytest.mark.parametrize("call", [lambda b, m, x: b(m, x), lambda b, m, x: b(m, x=x), lambda b, m, x: b(x=x, mask=m)])
@pytest.mark.parametrize("per", [{}, {"draw": {"kind": "bernoulli", "per": "sequence", "strata": 2, "unit": "layer"}}])
def test_hidden_states_behind_a_mask_are_found_by_name(call: Any, per: dict[str, Any]) -> None:
    mask, x = torch.ones(1, 1), torch.randn(4, 4)

    def walk(blocks: Any, x: Any) -> Any:
        for block in blocks:
            x = call(block, mask, x)
        return x

    plain = Stacked(in_order, [Block() for _ in range(LAYERS)])
    masked = Stacked(walk, [MaskFirst() for _ in range(LAYERS)])
    randomise(plain)
    masked.load_state_dict(plain.state_dict())
    drops = [attach(model, {**HALF, **per}, steps=STEPS, sequences=4 if per else None) for model in (plain, masked)]
    for step in (0, 1, 2, 3):
        with drops[0].step(step), drops[1].step(step):
            torch.testing.assert_close(masked(x), plain(x))


def test_hidden_states_that_cannot_be_told_are_refused() -> None:
    model = Stacked(lambda blocks, x: blocks[0](torch.ones(1), x), [Nameless() for _ in range(LAYERS)])
    drop = attach(model, HALF, steps=STEPS)
    with drop.step(changing_steps(drop, 1)[0]), pytest.raises(AttachError, match="forward takes 'mask' first"):
        model(torch.randn(3, 4))


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(AttachError, match="a model is a torch module, not 'bert'"):
        attach("bert", HALF, steps=STEPS)  # type: ignore[arg-type]
