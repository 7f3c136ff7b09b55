"""The FLOPs torch counts are those the forecast states, to the last one; a shut block, half or row is worth exactly its
own.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pld_search.costs.flops import step_flops
from pld_search.model.build_model import masked_lm
from pld_search.schedules.plan import AnyGates, Plan
from pld_search.schedules.schedule import Schedule
from pld_search.specs.experiment import Batch, Data, Model
from tests.model.helpers import gates, spec

DIGEST = "sha256:" + "0" * 64
DATA = Data(corpus=DIGEST, tokenizer=DIGEST, length=20)


def counted(model: Model, sequences: int, given: AnyGates) -> int:
    """FLOPs of forward and backward as torch counts them (it counts fused attention on the CPU as nothing, so: the MATH
    kernel).
    """
    network = masked_lm(model).train()
    ids = torch.randint(0, model.vocabulary, (sequences, DATA.length))
    positions = torch.arange(DATA.predictions(DATA.final_length)).expand(sequences, -1)
    counter = FlopCounterMode(display=False)
    with counter, sdpa_kernel(SDPBackend.MATH):
        network(ids, positions=positions, labels=ids.gather(1, positions), gates=given).loss.backward()
    return int(counter.get_total_flops())


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("positions", ["learned", "alibi"])
def test_counted_equals_forecast(norm: str, positions: str) -> None:
    model = spec(norm=norm, positions=positions)
    forecast = step_flops(model, DATA, Batch(sequences=6))
    for keep in ("111", "010", "000"):
        assert counted(model, 6, gates(keep, 2.0)) == keep.count("1") * forecast.block + forecast.head + forecast.rest


def plans(unit: str, per: str) -> Iterator[tuple[AnyGates, int, int]]:
    """Gates of random steps with the rows that pass through attention and feed-forward, all layers together."""
    draw = {"kind": "bernoulli", "per": per, "unit": unit} | ({"strata": 3} if per == "sequence" else {})
    schedule = Schedule.model_validate(
        {
            "temporal": {"kind": "linear", "start": 1.0, "end": 0.5},
            "depth": {"kind": "linear", "index": "l/L"},
            "draw": draw,
            "rescale": "sublayer",
            "skipped": "freeze",
        }
    )
    plan = Plan(schedule, 3, 100, 3, 1, 6)
    for step in range(20, 100, 6):
        kept = (
            plan.kept_rows([step])[0, 0]
            if per == "sequence"
            else plan.kept_sublayers([step])[0, 0][..., None].repeat(6, -1)
        )
        yield plan.at(step, 0), int(kept[:, 0].sum()), int(kept[:, 1].sum())


@pytest.mark.parametrize("per", ["group", "sequence"])
@pytest.mark.parametrize("unit", ["layer", "sublayer"])
def test_counted_equals_the_rows_of_a_plan(unit: str, per: str) -> None:
    model, batch = spec(), Batch(sequences=6)
    forecast = step_flops(model, DATA, batch)
    seen = set()
    for given, attention, feed_forward in plans(unit, per):
        expected = (forecast.attention * attention + forecast.feed_forward * feed_forward) // batch.sequences
        assert counted(model, 6, given) == expected + forecast.head + forecast.rest
        seen.add((attention, feed_forward))
    assert len(seen) >= 3
