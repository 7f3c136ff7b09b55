"""A hundred random architectures and objectives: FLOPs equal torch's counter, parameters equal the model's, or the
combination is refused.
"""

from __future__ import annotations

import random
from typing import Any

import torch
from pydantic import ValidationError
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pld_search.costs.flops import step_flops
from pld_search.costs.load_schedule import load_schedule
from pld_search.costs.objectives import costs_of
from pld_search.costs.parameters import parameters_of
from pld_search.model.build_model import pretraining_model
from pld_search.pretraining.registry import objective_of
from pld_search.specs.build_experiment import NOTHING, new_model
from pld_search.specs.experiment import Batch, Data, Model
from pld_search.specs.fitting_options import unlearnable
from pld_search.specs.pretraining import Pretraining, pretraining_of
from pld_search.specs.template import ModelTemplate
from tests.model.helpers import gates

COUNT, VOCABULARY, SEQUENCES = 100, 101, 3
DATA = Data(corpus=NOTHING, tokenizer=NOTHING, length=16)
CHOICES: dict[str, tuple[Any, ...]] = {
    "layers": (1, 2, 3),
    "hidden": (32, 48),
    "heads": (2, 4),
    "intermediate": (None, 40),
    "norm": ("pre", "post", "sandwich"),
    "positions": ("learned", "alibi", "rope"),
    "feed_forward": ("gelu", "geglu", "swiglu", "relu2"),
    "norm_kind": ("layer", "rms"),
    "bias": (True, False, "norms"),
    "qk_norm": (True, False),
    "attention": ("full", {"local": 4, "global_every": 2}),
    "tie_embeddings": (True, False),
    "depth_scaled_norm": (True, False, False),
    "token_types": (True, False),
    "first_norm": (True, True, False),
}
_DROPS = {"kind": "electra", "generator": {"width": 0.5, "schedule": load_schedule("pld").model_dump(mode="json")}}
OBJECTIVES = (None, "mlm+nsp", {"kind": "electra", "generator": {"width": 0.5, "depth": 0.5}}, "electra", _DROPS)


def drawn(rng: random.Random) -> tuple[Model, Pretraining | None] | None:
    """A model and an objective; None where the options mean nothing together."""
    changes = {key: rng.choice(values) for key, values in CHOICES.items()}
    learns = pretraining_of(rng.choice(OBJECTIVES))
    try:
        model = new_model(ModelTemplate(**changes), VOCABULARY)
    except ValidationError:
        return None
    return None if unlearnable(model, learns) else (model, learns)


def counted(model: Model, learns: Pretraining | None, keep: str, second: str | None) -> tuple[int, int]:
    """FLOPs as torch counts them, and parameters; `second` is what a generator keeps that drops layers."""
    objective = objective_of(learns)
    network = pretraining_model(objective.model_class, model, **objective.model_settings(model)).train()
    ids = torch.randint(4, VOCABULARY, (SEQUENCES, DATA.length))
    places = torch.arange(1, 1 + DATA.predictions(DATA.final_length)).expand(SEQUENCES, -1)
    given = {"positions": places, "labels": ids.gather(1, places)}
    kind = None if learns is None else learns.kind
    if kind == "mlm+nsp":
        given |= {"token_type_ids": torch.zeros_like(ids), "next_labels": torch.ones(SEQUENCES).long()}
    if kind == "electra":
        given |= {"words": torch.randint(0, 2**32, places.shape)}
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        more = {} if second is None else {"generator_gates": gates(second, 2.0)}
        found = network(ids, **given, gates=gates(keep, 2.0), **more)
        (found.mlm_loss + found.rtd_loss if kind == "electra" else found.loss).backward()
    return int(counter.get_total_flops()), sum(parameter.numel() for parameter in network.parameters())


def test_flops_and_parameters_of_random_architectures_and_objectives() -> None:
    rng, seen, refused = random.Random(12), 0, 0
    kinds: set[str] = set()
    dropping = 0
    while seen < COUNT:
        made = drawn(rng)
        if made is None:
            refused += 1
            continue
        model, learns = made
        keep = "".join(rng.choice("01") for _ in range(model.layers))
        flops = step_flops(model, DATA, Batch(sequences=SEQUENCES), pretraining=learns)
        stack = costs_of(learns).second_stack(model)
        second = None if stack is None else "".join(rng.choice("01") for _ in range(stack[1]))
        ran = keep.count("1") * flops.block + (second or "").count("1") * sum(flops.second)
        expected = ran + flops.fixed, parameters_of(model, learns)
        assert counted(model, learns, keep, second) == expected, (model, learns, keep, second)
        seen += 1
        dropping += second is not None
        kinds.add("mlm" if learns is None else learns.kind)
    assert kinds == {"mlm", "mlm+nsp", "electra"} and refused > 0 and dropping > 0
