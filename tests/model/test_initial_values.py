"""Initial values: by (seed, name), of the stated spread, shared between depths."""

from __future__ import annotations

import torch
from torch import nn

from pld_search.model.build_model import classifier, masked_lm
from pld_search.model.initial_values import initialise
from tests.model.helpers import spec


def test_depths_share_parameters_of_equal_names() -> None:
    shallow, deep = masked_lm(spec(layers=2), 5).state_dict(), masked_lm(spec(layers=4), 5).state_dict()
    assert shallow.keys() < deep.keys()
    for name, tensor in shallow.items():
        assert torch.equal(tensor, deep[name]), name


def test_norms_positions_and_heads_leave_the_rest_alone() -> None:
    plain = masked_lm(spec(), 5).state_dict()
    changed = [
        masked_lm(spec(norm="post"), 5),
        masked_lm(spec(positions="alibi"), 5),
        masked_lm(spec(norm="sandwich", norm_kind="rms", feed_forward="relu2", qk_norm=True, tie_embeddings=False), 5),
        classifier(spec(), 2, "classification", 5),
    ]
    for model in changed:
        shared = model.state_dict().keys() & plain.keys()
        assert len(shared) > 30
        for name in shared:
            assert torch.equal(model.state_dict()[name], plain[name]), name


def test_seed_and_name_decide() -> None:
    one, same, other = (masked_lm(spec(), seed) for seed in (0, 0, 1))
    drawn = 0
    for (name, first), second, third in zip(one.named_parameters(), same.parameters(), other.parameters(), strict=True):
        assert torch.equal(first, second), name
        if first.ndim > 1:
            assert not torch.equal(first, third), name
            drawn += 1
    blocks = one.bert.encoder.blocks
    assert drawn == 16 and not torch.equal(blocks[0].feed_forward.up.weight, blocks[1].feed_forward.up.weight)


def test_the_global_generator_plays_no_part() -> None:
    torch.manual_seed(1)
    one = masked_lm(spec()).state_dict()
    torch.manual_seed(2)
    two = masked_lm(spec()).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one) and one


def test_spread_biases_and_norms() -> None:
    model = masked_lm(spec(hidden=64, heads=4, intermediate=256, vocabulary=500, embedding_std=0.1, init_std=0.03))
    counted = {"embedding": 0, "matrix": 0, "norm": 0, "bias": 0}
    for module_name, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if isinstance(module, nn.LayerNorm):
                assert torch.equal(parameter, torch.ones(64) if name == "weight" else torch.zeros(64)), module_name
                counted["norm"] += 1
            elif parameter.ndim == 1:
                assert not parameter.any(), module_name
                counted["bias"] += 1
            elif parameter.numel() > 1000:
                embedding = isinstance(module, nn.Embedding)
                values = parameter[:500] if module_name.endswith("words") else parameter
                assert abs(values.std().item() / (0.1 if embedding else 0.03) - 1) < 0.06, module_name
                counted["embedding" if embedding else "matrix"] += 1
    assert all(counted.values())
    assert not model.bert.embeddings.words.weight[500:].any()


def test_options_have_initial_values_of_their_own() -> None:
    changes = {
        "norm_kind": "rms",
        "norm": "sandwich",
        "qk_norm": True,
        "tie_embeddings": False,
        "feed_forward": "geglu",
    }
    model = masked_lm(spec(**changes, vocabulary=500), 5)
    norms = [module for module in model.modules() if isinstance(module, nn.RMSNorm)]
    assert len(norms) == 3 * 6 + 3 and all(torch.equal(norm.weight, torch.ones_like(norm.weight)) for norm in norms)
    decoder = model.head.decoder.weight
    assert abs(decoder[:500].std().item() / 0.02 - 1) < 0.06 and not decoder[500:].any()
    up, plain = (each.bert.encoder.blocks[0].feed_forward.up.weight for each in (model, masked_lm(spec(), 5)))
    assert up.shape[0] == 2 * plain.shape[0] and torch.equal(up[: plain.shape[0]], plain)


def test_values_do_not_depend_on_the_dtype_they_are_stored_in() -> None:
    half = masked_lm(spec()).to(torch.bfloat16)
    initialise(half, spec(), 3)
    for name, parameter in masked_lm(spec(), 3).named_parameters():
        assert torch.equal(half.state_dict()[name], parameter.to(torch.bfloat16)), name
