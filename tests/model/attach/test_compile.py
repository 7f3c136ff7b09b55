"""Compiled as a whole: refused. Compiled block by block: one graph for every plan."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pld_search.errors import AttachError
from pld_search.model.attach.layer_drop import attach
from tests.model.attach.architectures import ARCHITECTURES
from tests.model.attach.test_architectures import HALF, STEPS, changing_steps

# Both are torch's own: it imports a function it deprecated, and its tracer looks at the .grad of activations.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"),
]
BERT = ARCHITECTURES["BERT"]


def test_the_whole_model() -> None:
    model, batch = BERT.build(), BERT.batch()
    with pytest.raises(AttachError, match="compiled as a whole"):
        attach(torch.compile(model, backend="eager"), HALF, steps=STEPS)  # type: ignore[arg-type]
    drop = attach(model, HALF, steps=STEPS)
    compiled = torch.compile(model, backend="eager")
    for _ in range(2):  # once traced, once from its cache
        with pytest.raises(AttachError, match=r"compiled as a whole.*block.compile|another model ran"), drop.step(1):
            compiled(**batch)
    model.get_submodule("bert").compile(backend="eager")
    with pytest.raises(AttachError, match="compiled as a whole"), drop.step(2):
        model(**batch)
    torch.compiler.reset()


def test_block_by_block() -> None:
    model, batch = BERT.build(), BERT.batch()
    drop, expected = attach(model, HALF, steps=STEPS), []
    steps = changing_steps(drop, 4)
    for step in steps:
        with drop.step(step):
            expected.append(model(**batch).logits)
    graphs: list[Any] = []

    def backend(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    for block in model.get_submodule(BERT.path).children():
        block.compile(backend=backend)
    for step, logits in zip(steps, expected, strict=True):
        with drop.step(step):
            found = model(**batch)
        found.loss.backward()
        torch.testing.assert_close(found.logits, logits)
    assert len(graphs) == 1
    torch.compiler.reset()
