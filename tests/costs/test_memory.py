"""The forecast of memory against what autograd really keeps, byte by byte, and against what must follow from it."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor

from pld_search.costs.forward import Forward
from pld_search.costs.layer import block_bytes, block_parameters
from pld_search.costs.load_schedule import load_schedule
from pld_search.costs.memory import Memory, embedding_bytes, memory_of, recomputed_blocks
from pld_search.costs.parameters import outer_parameters, parameters_of
from pld_search.model.build_model import masked_lm
from pld_search.specs.execution import ActivationCheckpointing, Execution
from pld_search.specs.experiment import Batch, Data, Experiment, Model, Optimizer
from pld_search.training.precision import Numerics

Norm = Literal["pre", "post"]
Positions = Literal["learned", "alibi"]
SEQUENCES, LENGTH, PREDICTIONS = 4, 64, 10
CASES: list[tuple[str, Norm, Positions, float, float]] = [
    ("fp32", "pre", "learned", 0.1, 0.1),
    ("fp32", "post", "alibi", 0.0, 0.1),
    ("fp32", "pre", "alibi", 0.1, 0.0),
    ("fp16", "post", "learned", 0.1, 0.1),
    ("fp16", "pre", "alibi", 0.0, 0.1),
    ("fp16", "pre", "alibi", 0.1, 0.0),
]


def spec(
    layers: int, norm: Norm = "pre", positions: Positions = "learned", dropout: float = 0.1, attention: float = 0.1
) -> Model:
    sizes = {"layers": layers, "hidden": 64, "heads": 4, "intermediate": 256, "vocabulary": 320, "max_length": 64}
    return Model(**sizes, norm=norm, positions=positions, dropout=dropout, attention_dropout=attention)


def kept(model: Model, precision: str, every: int = 0) -> int:
    """Bytes of the distinct storages that autograd keeps of one forward pass, parameters apart; of recomputed blocks it
    keeps none by itself.
    """
    network = masked_lm(model).train()
    network.bert.encoder.recompute_every = every
    own = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    seen: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            seen[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    ids, places = torch.randint(0, 320, (SEQUENCES, LENGTH)), torch.arange(PREDICTIONS).expand(SEQUENCES, PREDICTIONS)
    numerics = Numerics(precision, torch.device("cpu"))  # type: ignore[arg-type]
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), numerics.autocast():
        loss = network(ids, positions=places, labels=places).loss
    assert loss.requires_grad
    return sum(tensor.untyped_storage().nbytes() for tensor in seen.values())


@pytest.mark.parametrize(("precision", "norm", "positions", "dropout", "attention"), CASES)
def test_a_block_keeps_what_is_forecast(
    precision: str, norm: Norm, positions: Positions, dropout: float, attention: float
) -> None:
    two, three = (spec(layers, norm, positions, dropout, attention) for layers in (2, 3))
    half = precision == "fp16"
    found = kept(three, precision) - kept(two, precision)
    norms_and_scales = 4 * two.hidden
    casts = 2 * (block_parameters(two) - norms_and_scales) if half else 0
    assert found - casts == pytest.approx(
        block_bytes(Forward(two, SEQUENCES, LENGTH, PREDICTIONS, half, False)), rel=0.01
    )


@pytest.mark.parametrize("half", [False, True])
def test_the_rest_keeps_little_beside_blocks(half: bool) -> None:
    of = Forward(spec(2), SEQUENCES, LENGTH, PREDICTIONS, half, False)
    stream = 4 * SEQUENCES * LENGTH * 64
    assert 2 * stream <= embedding_bytes(of) <= 3 * stream


def memory(micro_batch: int = 4, ranks: int = 1, *, layers: int = 6, precision: str = "fp32", **how: object) -> Memory:
    model = spec(layers)
    digest = "sha256:" + "0" * 64
    experiment = Experiment(
        model=model,
        data=Data(corpus=digest, tokenizer=digest, length=LENGTH),
        batch=Batch(sequences=16),
        optimizer=Optimizer(lr=1e-3),
        precision=precision,  # type: ignore[arg-type]
        schedule=load_schedule("full", layers=layers, steps=10),
        steps=10,
    )
    return memory_of(experiment, Execution(**how), micro_batch, ranks)  # type: ignore[arg-type]


def test_activations_grow_with_the_micro_batch_and_the_state_does_not() -> None:
    one, four = memory(1), memory(4)
    assert four.activations == 4 * one.activations
    assert four.state == one.state == 12 * parameters_of(spec(6))
    assert one.gradients == four.gradients == 4 * parameters_of(spec(6))
    assert memory(16).gradients < one.gradients  # one backward pass


@pytest.mark.parametrize(("setting", "count"), [("none", 0), ("blocks", 6), (2, 3), (4, 1), (7, 0)])
def test_recomputed_blocks_keep_their_inputs(setting: ActivationCheckpointing, count: int) -> None:
    assert recomputed_blocks(setting, 6) == count
    less, block = (
        memory(activation_checkpointing=setting),
        block_bytes(Forward(spec(6), 4, LENGTH, PREDICTIONS, False, False)),
    )
    assert memory().activations - less.activations == count * (block - 4 * 4 * LENGTH * 64)
    assert less.total < memory().total or count < 2  # the block that is being recomputed counts as a whole


def test_ranks_share_the_state_of_shards_only() -> None:
    whole = memory().state
    assert memory(ranks=4, mode="replicate").state == whole + 4 * max(
        block_parameters(spec(6)), outer_parameters(spec(6))
    )
    gathered = 4 * (outer_parameters(spec(6)) + 2 * block_parameters(spec(6)))
    assert memory(ranks=4, mode="shard").state - gathered == pytest.approx(whole / 4, rel=1e-3)


def test_a_gpu_keeps_no_weights_of_attention() -> None:
    assert memory(device="cuda").activations < memory().activations
    assert memory(device="cuda").needed("cuda") < memory(device="cuda").needed("cpu")
