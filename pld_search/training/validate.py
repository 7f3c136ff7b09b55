"""The masked-LM loss on held-out sequences: full depth, dropout off, constant masks. Ranks take the chunks in turns."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice

import torch

from pld_search.data.masking import Masked
from pld_search.model.bert import PldBertForMaskedLM
from pld_search.training.parallel.ranks import Ranks
from pld_search.training.parallel.sharding import settle
from pld_search.training.precision import Numerics
from pld_search.training.setup import Setup


@torch.no_grad()
def held_out_loss(setup: Setup, model: PldBertForMaskedLM, numerics: Numerics, split: str) -> float:
    """Mean nats a prediction over the held-out sequences of `validation` or `test`, the same on every rank; may be
    infinite or NaN.
    """
    training = model.training
    model.eval()
    sums = torch.zeros(2, dtype=torch.float64, device=setup.device)  # nats, predictions
    for masked, counts in turns(setup.held_out(split), setup.ranks):
        predicted = masked.predicted
        if predicted == 0 and setup.ranks.mesh is None:
            continue
        inputs, positions, labels = (
            torch.from_numpy(part).to(setup.device) for part in (masked.input_ids, masked.positions, masked.labels)
        )
        with numerics.autocast():
            loss = model(inputs, positions=positions, labels=labels, return_logits=False).loss
        if predicted and counts:
            sums += torch.stack(
                [loss.double() * predicted, torch.tensor(predicted, dtype=torch.float64, device=setup.device)]
            )
    settle(model)
    model.train(training)
    nats, count = setup.ranks.total(sums).tolist()
    return nats / count if count else math.nan


def turns(chunks: Iterator[Masked], ranks: Ranks) -> Iterator[tuple[Masked, bool]]:
    """The chunks of this rank, and whether each counts: chunk i is rank i mod world's.

    Where the last round has too few, the others run one that does not count: the layers of a sharded model are run
    together.
    """
    while batch := list(islice(chunks, ranks.world)):
        own = ranks.rank < len(batch)
        yield batch[ranks.rank if own else 0], own
