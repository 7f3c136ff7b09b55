"""A short measurement of one architecture on this machine: seconds of a layer, seconds of the rest of a step, and peak
memory.

It runs real training steps (input, forward, backward, clipping, optimizer, telemetry) of four kinds in turn: all
layers; half of them; all attentions with half of the feed-forwards; half of the attentions with all feed-forwards. The
kinds are interleaved, so that a drift of the machine affects all of them, and each kind counts with its median. The
first rounds (allocation, compilation, caches) count as start-up time. The differences between the four kinds give the
seconds of an attention and of a feed-forward (`solve`); the common part is the fixed part.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median, quantiles
from typing import NamedTuple

import torch

from pld_search.costs.profile import Profile, architecture_of, architecture_text, of_several_kinds, setting_of
from pld_search.errors import ConfigError, StudyError
from pld_search.schedules.gates import AnyGates, Gates, SublayerGates
from pld_search.schedules.plan import Plan
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.training.device import compute_settings, synchronize
from pld_search.training.measurable import measurable
from pld_search.training.micro_batch import fitted
from pld_search.training.prefetch import Prefetch
from pld_search.training.provenance import device_name
from pld_search.training.room import peak_bytes
from pld_search.training.setup import Setup, open_setup
from pld_search.training.state import State, fresh
from pld_search.training.step import train_step
from pld_search.training.telemetry import InFlight

SECONDS = 10.0
"""The duration of the measurement after the settling rounds, within the limits on its rounds."""
LEAST_ROUNDS, MOST_ROUNDS = 3, 60
SETTLING_SECONDS, SETTLING_ROUNDS = 1.0, 8


class Kind(NamedTuple):
    """Whether a step runs all attentions and all feed-forwards, or the reduced number of them."""

    attention: bool
    feed_forward: bool


KINDS = (Kind(True, True), Kind(False, False), Kind(True, False), Kind(False, True))


def kind_of(step: int) -> Kind:
    """Returns the kind of a step: every round has each kind once, and the order rotates from round to round."""
    return KINDS[(step + step // len(KINDS)) % len(KINDS)]


class Costs(NamedTuple):
    """The seconds of one attention, of one feed-forward, and of everything else in a step."""

    attention: float
    feed_forward: float
    fixed: float


def solve(seconds: Mapping[Kind, float], layers: int, reduced: int) -> Costs:
    """Returns the costs that explain the seconds of the four kinds best (least squares), without negative costs.

    A negative cost is noise of the measurement; it counts as 0, and the fixed part takes the difference.
    """
    more = layers - reduced
    full, half, attention, feed_forward = (seconds[kind] for kind in KINDS)
    of_attention = max(0.0, ((full - feed_forward) + (attention - half)) / (2 * more))
    of_feed_forward = max(0.0, ((full - attention) + (feed_forward - half)) / (2 * more))
    fixed = (full + half + attention + feed_forward) / 4 - (of_attention + of_feed_forward) * (layers + reduced) / 2
    return Costs(of_attention, of_feed_forward, max(0.0, fixed))


class Timed(NamedTuple):
    """One step: the seconds of its forward and backward passes, and of the whole step with its wait for input."""

    kind: Kind
    passes: float
    whole: float


@dataclasses.dataclass(frozen=True)
class Reduced(Plan):
    """A plan whose steps are the four kinds in turn."""

    def at(self, step: int, group: int) -> AnyGates:
        """Returns the gates of the step's kind: half of the layers run a sublayer that is reduced."""
        del group  # all groups run the same gates
        kind = kind_of(step)
        layers = self.stack.final
        halves = [_first(layers if whole else layers // 2, layers) for whole in kind]
        return halves[0] if kind.attention == kind.feed_forward else SublayerGates(*halves)


def _first(kept: int, layers: int) -> Gates:
    return Gates((True,) * kept + (False,) * (layers - kept), (1.0,) * layers, "none")


def measure(experiment: Experiment, execution: Execution, seconds: float = SECONDS) -> Profile:
    """Returns the profile of an experiment's architecture in this execution, measured for about `seconds` (0: the
    fewest rounds).

    The schedule, optimizer and number of steps have no effect. Raises ConfigError and DataError as a run does,
    ConfigError for steps of several kinds, and StudyError if a layer's time is lost in noise.
    """
    several = of_several_kinds(experiment.data, experiment.batch, experiment.pretraining)
    if several:
        raise ConfigError(several)
    began = time.perf_counter()
    setup = fitted(open_setup(measurable(experiment, len(KINDS) * (SETTLING_ROUNDS + MOST_ROUNDS)), execution))
    plan = setup.plan
    setup = dataclasses.replace(
        setup, plan=Reduced(plan.schedule, plan.seed, plan.total, plan.layers, plan.groups, plan.sequences)
    )
    with compute_settings(execution, setup.device):
        state = fresh(setup)
        if setup.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(setup.device)
        settled, timed = _measured(setup, state, seconds)
        used = execution.model_copy(update={"threads": execution.threads or torch.get_num_threads()})
        memory = peak_bytes(setup.device)
    passes, rest = _costs(timed, experiment.model.layers)
    if passes.attention + passes.feed_forward <= 0:
        raise StudyError(
            "a layer's time is lost in the noise of this machine: nothing else may run while it is measured"
        )
    whole = sorted(step.whole for step in timed if step.kind == KINDS[0])
    return Profile(
        architecture=architecture_of(experiment),
        about=architecture_text(experiment.model, experiment.data, experiment.batch, experiment.precision),
        setting=setting_of(used, device_name(setup.device)),
        seconds_attention=passes.attention,
        seconds_feed_forward=passes.feed_forward,
        seconds_update=rest.attention + rest.feed_forward,
        seconds_fixed=passes.fixed + rest.fixed,
        seconds_start=settled - began,
        bytes=memory,
        spread=_spread(whole),
        rounds=len(whole),
        measured=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _measured(setup: Setup, state: State, seconds: float) -> tuple[float, list[Timed]]:
    """Returns the clock's time at the end of the settling rounds, and the steps after it."""
    flights: list[tuple[Kind, InFlight]] = []
    settled, first = 0.0, 0
    with Prefetch(setup.batch_at, 0, setup.calendar.total) as batches:
        began = time.perf_counter()
        for step, batch in batches:
            flight = train_step(setup, state, step, batch)
            state.telemetry.push(flight)
            flights.append((kind_of(step), flight))
            rounds, rest = divmod(step + 1, len(KINDS))
            if rest:
                continue
            now = time.perf_counter()
            if not settled and (now - began >= SETTLING_SECONDS or seconds == 0 or rounds == SETTLING_ROUNDS):
                synchronize(setup.device)
                settled, first = time.perf_counter(), step
            elif settled and rounds - (first + 1) // len(KINDS) >= LEAST_ROUNDS and now - settled >= seconds:
                break
        state.telemetry.settle()
    return settled, list(_timed(setup, flights[first:]))


def _timed(setup: Setup, flights: Sequence[tuple[Kind, InFlight]]) -> Iterator[Timed]:
    """Yields the times of every step except the first, whose end is only the start of the next."""
    seconds = setup.clock.seconds
    for (_, before), (kind, flight) in pairwise(flights):
        yield Timed(kind, seconds(flight.begun, flight.turned), seconds(before.ended, flight.ended))


def _costs(timed: Sequence[Timed], layers: int) -> tuple[Costs, Costs]:
    """Returns the costs of the forward and backward passes, and the costs of the rest of a step."""
    passes = {kind: median(step.passes for step in timed if step.kind == kind) for kind in KINDS}
    rest = {kind: median(step.whole - step.passes for step in timed if step.kind == kind) for kind in KINDS}
    return solve(passes, layers, layers // 2), solve(rest, layers, layers // 2)


def _spread(ordered: Sequence[float]) -> float:
    low, middle, high = quantiles(ordered, n=4, method="inclusive")
    return (high - low) / middle
