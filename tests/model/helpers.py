"""Small models, random inputs and gates for the tests of this room."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from pld_search.model.bert import PldBertForMaskedLM
from pld_search.model.build_model import masked_lm
from pld_search.schedules.plan import AnyGates, Gates
from pld_search.specs.experiment import Model

LAYERS = 3


def spec(**changes: Any) -> Model:
    """Three layers of 32; dropout 0; a vocabulary that is no multiple of 64."""
    values: dict[str, Any] = {
        "layers": LAYERS,
        "hidden": 32,
        "heads": 4,
        "intermediate": 64,
        "vocabulary": 101,
        "max_length": 24,
        "dropout": 0.0,
        "attention_dropout": 0.0,
    }
    return Model(**{**values, **changes})


def randomise(model: nn.Module, seed: int = 7) -> None:
    """Every parameter random, biases and norms too: at BERT's own initial values many mistakes do not show."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)


def inputs(
    batch: int = 4, length: int = 12, vocabulary: int = 101, seed: int = 3, padding: int = 0
) -> dict[str, Tensor]:
    """Ids, a mask with padding on the right of every row but the first, types of a pair, labels at some of the real
    tokens.
    """
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(4, vocabulary, (batch, length), generator=generator)
    lengths = torch.tensor([length, *torch.randint(length // 2, length, (batch - 1,), generator=generator).tolist()])
    mask = (torch.arange(length) < lengths[:, None]).long()
    types = (torch.arange(length) >= lengths[:, None] // 2).long() * mask
    labels = torch.where((torch.rand(batch, length, generator=generator) < 0.4) & mask.bool(), ids, -100)
    labels[:, 1] = ids[:, 1]
    return {
        "input_ids": ids.where(mask.bool(), torch.tensor(padding)),
        "attention_mask": mask,
        "token_type_ids": types,
        "labels": labels,
    }


def gates(keep: str, scale: float = 1.0, where: str = "sublayer") -> Gates:
    """`"101"` keeps layers 1 and 3, with one scale for those that are kept."""
    return Gates(tuple(k == "1" for k in keep), tuple(scale if k == "1" else 1.0 for k in keep), where)  # type: ignore[arg-type]


def gradients(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter's gradient by name; one that is None fails here."""
    found = {}
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        found[name] = parameter.grad
    return found


def clone(model: nn.Module) -> nn.Module:
    """A copy that shares nothing, configuration included."""
    return copy.deepcopy(model)


def model_of(norm: str, **changes: object) -> PldBertForMaskedLM:
    """A model for masked tokens in training mode, `randomise`d."""
    model = masked_lm(spec(norm=norm, **changes))
    randomise(model)
    return model.train()


def assert_open_gates_change_no_bit(norm: str, given: AnyGates) -> None:
    """Outputs and gradients of gates that shut nothing are bit by bit those without gates."""
    batch, plain, gated = inputs(), model_of(norm), model_of(norm)
    one, two = plain(**batch), gated(**batch, gates=given)
    one.loss.backward()
    two.loss.backward()
    assert torch.equal(one.logits, two.logits)
    expected = gradients(plain)
    for name, gradient in gradients(gated).items():
        assert torch.equal(gradient, expected[name]), name
