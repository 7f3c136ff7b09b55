"""Simulates promotion alone, for configurations in a given order, in microseconds a search: the effect of its settings.

The decisions come from `search/successive_halving.py`, in the order of a coordinator with one slot: a promotion before
a new trial, and a last promotion when nothing more arrives. Random sampling with reused results is a random order; a
learning sampler is not.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from benchmarks.quality_search import Found, Run, Table
from pld_search.search.successive_halving import last_promotion, next_promotion
from pld_search.spaces.early_stopping import Promotion


class Halving:
    """One search over `order`, to its end."""

    def __init__(self, table: Table, order: Sequence[Run], rule: Promotion) -> None:
        self._table, self._order, self._eta = table, order, rule.eta
        self._shares = [float(share) for share in rule.shares]
        self._arrived: list[dict[int, float]] = [{} for _ in self._shares]
        self._gone: list[set[int]] = [set() for _ in self._shares]
        self._waiting: set[int] = set()
        self._found = Found()

    def run(self) -> Found:
        while True:
            chosen = next_promotion(self._arrived, self._gone, self._waiting, self._eta)
            if chosen is None and self._found.asked < len(self._order):
                self._found.asked += 1
                self._go(self._found.asked - 1, 0)
                continue
            if chosen is None:
                chosen = last_promotion(self._arrived, self._gone, self._waiting)
            if chosen is None:
                return self._found
            rung = max(rung for rung, there in enumerate(self._arrived) if chosen in there)
            self._gone[rung].add(chosen)
            self._waiting.remove(chosen)
            self._go(chosen, rung + 1)

    def _go(self, trial: int, rung: int) -> None:
        """Trains a trial up to a rung and ranks its branch there, or up to its end."""
        run = self._order[trial]
        before = run.trunk[self._shares[rung - 1]][1] if rung else 0.0
        if rung == len(self._shares):
            self._found.spend((run.tflop - before) / self._table.full)
            self._found.ended(self._table.regret(run.loss))
            return
        loss, branch = run.branch[self._shares[rung]]
        self._found.spend((run.trunk[self._shares[rung]][1] - before) / self._table.full)
        self._found.spend(branch / self._table.full, branch=True)
        self._arrived[rung][trial] = loss
        self._waiting.add(trial)


def at_random(table: Table, rule: Promotion, seed: int) -> Found:
    """Runs promotion over all configurations in a random order."""
    order = sorted(table.runs, key=lambda run: run.digest)
    random.Random(seed).shuffle(order)
    return Halving(table, order, rule).run()
