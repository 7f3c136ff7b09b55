"""The speed of an encoder with fewer layers, in sequences a second: the gain at inference from removed layers."""

from __future__ import annotations

import time
from statistics import median

import torch

from pld_search.analysis.held_out_sample import HeldOutSample
from pld_search.model.layered_model import LayeredModel
from pld_search.model.rearranged import rearranged

BATCH = 32
_ROUNDS = 5
_LEAST = 0.01  # seconds of one measurement, so that the resolution of the clock does not matter


@torch.inference_mode()
def sequences_a_second(model: LayeredModel, sample: HeldOutSample) -> list[float]:
    """Measures the sequences a second of the encoder (embeddings, k layers, last norm) in the model's current mode, for
    k = 1 .. L, on one batch.

    Depths take turns, so that other work on the machine slows all of them equally; each result is the median of its
    rounds. The time does not depend on which k layers run.
    """
    ids = torch.cat([part.input_ids for part in sample.parts[:BATCH]])[:BATCH]
    depths = range(1, len(model.blocks) + 1)
    times: dict[int, list[float]] = {depth: [] for depth in depths}
    for first_round in (True, *[False] * _ROUNDS):
        for depth in depths:
            with rearranged(model, range(1, depth + 1), scaled=False):
                seconds = _seconds(model, ids)
            if not first_round:
                times[depth].append(seconds)
    return [len(ids) / median(times[depth]) for depth in depths]


def _seconds(model: LayeredModel, ids: torch.Tensor) -> float:
    """Returns the seconds of one forward pass: the mean over enough passes to fill the least time."""
    passes, begun = 0, _now(ids.device)
    while True:
        model.bert.hidden_states(ids)
        passes += 1
        spent = _now(ids.device) - begun
        if spent >= _LEAST:
            return spent / passes


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
