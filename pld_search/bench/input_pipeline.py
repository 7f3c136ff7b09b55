"""The input pipeline alone: batches drawn, masked and cut as a run reads them."""

from __future__ import annotations

import time

from pld_search.bench.figures import Figure, figure
from pld_search.training.setup import Setup


def tokens_per_second(setup: Setup, *, rounds: int, steps: int) -> Figure:
    """Tokens a second that one thread makes ready, over `rounds` stretches of `steps` steps."""
    tokens = setup.experiment.batch.sequences * setup.experiment.data.final_length
    setup.batch_at(0)
    rates = []
    for number in range(rounds):
        begun = time.perf_counter()
        for step in range(number * steps, (number + 1) * steps):
            setup.batch_at(step)
        rates.append(tokens * steps / (time.perf_counter() - begun))
    return figure(rates)
