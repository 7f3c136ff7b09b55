"""Measures the gain of each speed lever alone: steps with it and steps without it, in turns, in one process.

    python benchmarks/levers.py --shape small --out benchmarks/results/DATE-levers-small.json

A lever is removed by restoring the code that it replaced; everything else stays. Compiled blocks and recomputed
activations are settings of a run and are timed by `pld-search bench` instead.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from facts import facts, quiet
from torch import Tensor

from pld_search.bench.figures import figure
from pld_search.bench.synthetic_corpus import synthetic_corpus
from pld_search.bench.timed_shapes import SHAPES, Case
from pld_search.bench.transformers_trainer import labels_everywhere
from pld_search.model import attention, blocks, dropout, transformers_config
from pld_search.model.heads import MaskedLMHead, token_loss
from pld_search.model.surroundings import Surroundings
from pld_search.pretraining.batch_tensors import GroupedBatch, MicroBatch
from pld_search.specs.execution import Execution
from pld_search.training import precision, state
from pld_search.training.device import compute_settings, synchronize
from pld_search.training.prefetch import Prefetch
from pld_search.training.setup import Setup, open_setup
from pld_search.training.state import State
from pld_search.training.step import train_step


@dataclass(frozen=True, slots=True)
class Lever:
    """A lever. without: the context in which it is absent. batch: converts a step's batch for it. prepare: changes the
    state once.
    """

    about: str
    without: Callable[[], AbstractContextManager[Any]] = nullcontext
    batch: Callable[[GroupedBatch], GroupedBatch] = lambda batch: batch
    prepare: Callable[[State], None] = lambda _: None


def all_positions(batch: GroupedBatch) -> GroupedBatch:
    """Predicts every position; unmasked positions have the ignored label. The loss is the same, from all logits."""
    return tuple(tuple(_everywhere(part) for part in group) for group in batch)


def _everywhere(part: MicroBatch) -> MicroBatch:
    labels = labels_everywhere(part)
    everywhere = {"positions": torch.arange(labels.shape[1]).expand_as(labels), "labels": labels}
    return replace(part, tensors={**part.tensors, **everywhere})


def _loss_of_logits(head: MaskedLMHead, x: Tensor, embeddings: Tensor, labels: Tensor) -> Tensor:
    return token_loss(head(x, embeddings), labels)


@contextmanager
def _torch_dropout() -> Iterator[None]:
    with patch.object(dropout, "by_words", lambda *_: False), patch.object(attention, "by_words", lambda *_: False):
        yield


def _all_scores(qkv: Tensor, heads: int, mask: Tensor | None, p: float, training: bool) -> Tensor:
    if not dropout.by_words(qkv, p, training):
        return attention.attention(qkv, heads, mask, p, training)
    q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in qkv.chunk(3, dim=-1))
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    assert mask is None
    return (dropout.dropout(scores.softmax(-1), p, training) @ v).transpose(1, 2).flatten(2)


def _mask_of_ones(_: Surroundings, __: bool, x_BLH: Tensor, ___: Tensor | None) -> Tensor:
    return torch.ones(x_BLH.shape[0], 1, 1, x_BLH.shape[1], dtype=torch.bool, device=x_BLH.device)


def _foreach(run: State) -> None:
    for group in run.optimizer.param_groups:
        group.update(fused=False, foreach=True)


def _step(optimizer: torch.optim.Optimizer, _: Tensor) -> None:
    optimizer.step()


FUSED, MADE_AHEAD = "fused AdamW", "batches made ahead"
LEVERS = {
    "logits at masked positions": Lever("logits at every position", batch=all_positions),
    "one buffer for the loss": Lever(
        "cross_entropy of the logits", lambda: patch.object(MaskedLMHead, "loss", _loss_of_logits)
    ),
    "dropout by words": Lever("torch's dropout and attention", _torch_dropout),
    "attention in pieces": Lever(
        "the scores of all heads at once", lambda: patch.object(blocks, "attention", _all_scores)
    ),
    "no mask": Lever("a mask of ones", lambda: patch.object(Surroundings, "_mask", _mask_of_ones)),
    "padded vocabulary": Lever(
        "as many rows as pieces", lambda: patch.object(transformers_config, "padded", lambda vocabulary: vocabulary)
    ),
    FUSED: Lever("foreach", lambda: patch.object(precision, "guarded_step", _step), prepare=_foreach),
}


class Engine:
    """Steps of one run at full depth, with or without a lever."""

    def __init__(self, setup: Setup, lever: Lever | None) -> None:
        self._setup, self._lever, self._at = setup, lever or Lever(""), 0
        with self._lever.without():
            self._run = state.fresh(setup)
        self._lever.prepare(self._run)

    def burst(self, steps: int, *, ahead: bool = True) -> float:
        """Returns the seconds of a step."""
        first, self._at = self._at, self._at + steps
        with self._lever.without():
            if not ahead:
                begun = self._begin()
                for step in range(first, self._at):
                    train_step(self._setup, self._run, step, self._setup.batch_at(step))
                return self._since(begun) / steps
            with Prefetch(
                lambda step: self._lever.batch(self._setup.batch_at(step)), first, self._at, ahead=steps
            ) as batches:
                begun = self._begin()
                for step, batch in batches:
                    train_step(self._setup, self._run, step, batch)
                return self._since(begun) / steps

    def _begin(self) -> float:
        synchronize(self._setup.device)
        return time.perf_counter()

    def _since(self, begun: float) -> float:
        synchronize(self._setup.device)
        return time.perf_counter() - begun


def measured(setup: Setup, name: str, rounds: int, steps: int) -> dict[str, Any]:
    """Returns the time without a lever divided by the time with it, in turns; every other round runs backwards."""
    lever = LEVERS.get(name)
    plain = Engine(setup, None)
    other = plain if lever is None else Engine(setup, lever)
    ahead = lever is not None
    plain.burst(2)
    other.burst(2, ahead=ahead)
    with_it, without = [], []
    for number in range(rounds):
        if number % 2:
            without.append(other.burst(steps, ahead=ahead))
        with_it.append(plain.burst(steps))
        if not number % 2:
            without.append(other.burst(steps, ahead=ahead))
    ratio = figure([one / two for one, two in zip(without, with_it, strict=True)])
    return {
        "lever": name,
        "instead": "made in the step" if lever is None else lever.about,
        "step_ms": 1000 * figure(with_it).median,
        **ratio.model_dump(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=list(SHAPES), default="tiny")
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", choices=["fp32", "bf16", "fp16"])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/pld-search").expanduser())
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    device = given.device
    corpus = synthetic_corpus(given.cache, SHAPES[given.shape].vocabulary)
    case = Case(
        shape=given.shape,
        length=given.length,
        sequences=SHAPES[given.shape].sequences(given.length, device),
        precision=given.precision or ("fp16" if device == "cuda" else "fp32"),
        dropout=0.1,
        corpus=corpus.digest,
        tokenizer=corpus.tokenizer_digest,
        vocabulary=corpus.vocabulary,
    )
    how = Execution(
        device=device, threads=given.threads, deterministic=False, folders={corpus.digest: str(corpus.folder)}
    )
    stated = facts()
    print(
        f"{given.shape}, {case.sequences} x {given.length}, {case.precision}, {device}, quiet: "
        f"{quiet(stated['load'][0], stated['machine']['cores'])}"
    )
    print(f"{'lever':28}  {'instead':30}  time without it over time with it (quartiles)")
    setup = open_setup(case.experiment("full"), how)
    # fp16's gradient scaler needs a fused optimizer
    names = [name for name in (*LEVERS, MADE_AHEAD) if name != FUSED or case.precision != "fp16"]
    with compute_settings(how, setup.device):
        rows = []
        for name in names:
            rows.append(measured(setup, name, given.rounds, given.steps))
            print(
                f"{name:28}  {rows[-1]['instead']:30}  {rows[-1]['median']:.3f} ({rows[-1]['low']:.3f} .. "
                f"{rows[-1]['high']:.3f})",
                flush=True,
            )
    if given.out:
        about = {
            "shape": given.shape,
            "length": given.length,
            "sequences": case.sequences,
            "precision": case.precision,
            "device": device,
        }
        given.out.write_text(json.dumps({**stated, **about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
