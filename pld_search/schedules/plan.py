"""The plan of a run: what every group keeps at every step, as a pure function of (schedule, layers that exist, seed,
step, group).

Hash words are keyed by (seed, purpose, step, group). So any step can be read without drawing an earlier one, and every
rank and process has the same plan:

    purpose                     word                          used by
    plan                        number l of (step, group)     bernoulli: layer l; exact: duel l; per sequence: rows of
                                layer l
    plan:order                  half l of (step, group)       exact: the random order of the layers
    plan:start                  one of (run, group)           exact: the start of the counter
    plan:rows                   l sequences + row             per sequence: which rows of a stratum
    ...:feed-forward            the same                      `unit: sublayer`: the feed-forward's own draw

The gates that a training step receives, by schedule (`Plan.at`):

    per: group, unit: layer         Gates                     a dropped block is not called
    per: group, unit: sublayer      SublayerGates[Gates]      each half of a block is called or not
    per: sequence, unit: layer      RowGates                  a block runs for the rows named
    per: sequence, unit: sublayer   SublayerGates[RowGates]   each half runs for its own rows

`scale` multiplies the residual of kept parts: of each sublayer (`where="sublayer"`), of the block (`where="block"`: x +
scale (block(x) - x)), or nothing. `rescale: evaluation` scales nothing in training. Wherever the network then runs at
full depth (validation, test, fine-tuning, export), it must run under `Plan.evaluation(step)`, with step the number of
completed steps. `skipped` says how the optimizer treats the weights that no group of a step has kept (Schedule); a plan
does not hold it. Where layers grow over the run, gates cover the layers that exist at the step, and the counter of an
exact draw continues. Where groups grow, rows are drawn for the largest group, and a smaller group uses the first ones,
in whole strata.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pld_search.errors import ConfigError, Problem
from pld_search.frozen import canonical_json
from pld_search.schedules.draw.family import Sample, as_bool
from pld_search.schedules.draw.sequence_rows import kept_rows
from pld_search.schedules.existing_layers import Layers, LayersAt, layers_at
from pld_search.schedules.gates import AnyGates, Gates, RowGates, SublayerGates
from pld_search.schedules.rescale import divisor_grid, training_scale, where_in_training
from pld_search.schedules.rising_stages import StagesAt, stages_at
from pld_search.schedules.running_totals import RunningTotal
from pld_search.schedules.schedule import Schedule

__all__ = ["AnyGates", "Gates", "Plan", "RowGates", "SublayerGates"]

_BLOCK_CELLS = 2**17
_LAYER = ("",)
_SUBLAYERS = ("", ":feed-forward")
_Block = tuple[int, tuple[NDArray[np.bool_], ...], NDArray[np.float64]]


@dataclass
class _PlanCache:
    """Cached values of a plan; they are not part of its value."""

    block: _Block | None = None
    totals: RunningTotal | None = None


@dataclass(frozen=True)
class Plan:
    """The plan of a run of `total` steps with `layers` layers and `groups` groups a step.

    layers: a number, or how many layers exist at each step (schedules/existing_layers.py).
    sequences: the sequences of one group, a number or stages (schedules/rising_stages.py); required by a draw `per:
    sequence`, without effect on others.
    Raises ConfigError when the schedule does not fit this number of steps, layers or sequences.
    """

    schedule: Schedule
    seed: int
    total: int
    layers: Layers
    groups: int = 1
    sequences: int | StagesAt | None = None
    _held: _PlanCache = field(default_factory=_PlanCache, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if min(self.total, self.groups, 1 if isinstance(self.layers, LayersAt) else self.layers) < 1:
            raise ValueError("a plan has at least one step, one layer and one group")
        if self.schedule.draw.per == "sequence" and self.sequences is None:
            raise ValueError("a draw per sequence needs the number of sequences of a group")
        rows = () if self.sequences is None else stages_at(self.sequences).sizes
        reasons = self.schedule.misfits(self.total, self.layers, rows)
        if reasons:
            raise ConfigError([Problem(reason.why, path=reason.path) for reason in reasons])
        if self.schedule.draw.counts:
            self._held.totals = RunningTotal(lambda steps: self._grid(steps).sum(axis=-1), self.total)

    def at(self, step: int, group: int) -> AnyGates:
        """Returns the gates of one group at one step, 0 .. total - 1, in the form that the schedule asks for (see the
        module).
        """
        start, kept, scale = self._block_of(step, group)
        row, exist = step - start, self.stack.before(step)
        parts = [self._part(part[row, group, :exist], scale[row, :exist]) for part in kept]
        if len(parts) == 1:
            return parts[0]
        return SublayerGates(*cast(list[Gates], parts))  # both halves have the same type, by the draw

    def gates(self, step: int, group: int) -> Gates:
        """Returns `at` for a plan of whole layers (`per: group`, `unit: layer`). Raises ValueError for other plans."""
        gates = self.at(step, group)
        if not isinstance(gates, Gates):
            raise ValueError("this plan is not one of whole layers: its draw is per sequence or sublayer")
        return gates

    def group_size(self, step: int) -> int | None:
        """Returns the number of sequences of one group at a step; None if the plan does not know it."""
        return None if self.sequences is None else self._rows.before(step)

    def evaluation(self, step: int) -> Gates | None:
        """Returns the gates of all existing layers at evaluation after `step` completed steps, 0 .. total.

        They are None, for unscaled layers, unless the schedule has `rescale: evaluation`. Then every layer is kept and
        its residual is multiplied by p_l(step): the block's with `unit: layer`, each sublayer's with `unit: sublayer`.
        """
        if self.schedule.rescale != "evaluation":
            return None
        exist = self.stack.after(step)
        p = self.schedule.keep_probabilities(step, self.total, exist)
        where = "block" if self.schedule.draw.unit == "layer" else "sublayer"
        return Gates((True,) * exist, tuple(p.tolist()), where)  # type: ignore[arg-type]  # one of the two words

    def kept(self, steps: ArrayLike) -> NDArray[np.bool_]:
        """Returns which layers are kept at `steps` (S,), each in 0 .. total - 1: bool (S, groups, layers).

        Raises ValueError for a plan that is not of whole layers. Layers that do not exist yet count as not kept; the
        same holds for sublayers and rows.
        """
        if self._parts != _LAYER or self.schedule.draw.per != "group":
            raise ValueError("this plan is not one of whole layers: read `kept_sublayers` or `kept_rows`")
        return self._drawn(self._inside(steps))[0]

    def kept_sublayers(self, steps: ArrayLike) -> NDArray[np.bool_]:
        """Returns which sublayers are kept at `steps` (S,): bool (S, groups, layers, 2), attention first.

        Raises ValueError for a plan drawn per sequence.
        """
        if self.schedule.draw.per != "group":
            raise ValueError("this plan is drawn per sequence: read `kept_rows`")
        parts = self._drawn(self._inside(steps))
        return np.stack((parts[0], parts[-1]), axis=-1)

    def kept_rows(self, steps: ArrayLike) -> NDArray[np.bool_]:
        """Returns which sequences pass through each sublayer at `steps` (S,): bool (S, groups, layers, 2, sequences).
        Sequences that a smaller group does not have are False.

        Raises ValueError for a plan drawn per group.
        """
        if self.schedule.draw.per != "sequence":
            raise ValueError("this plan is drawn per group: read `kept_sublayers`")
        parts = self._drawn(self._inside(steps))
        return np.stack((parts[0], parts[-1]), axis=-2)

    def blocks(self) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        """Yields the whole plan in order, as (first step, kept (S, groups, layers)), in blocks of bounded size.

        Raises ValueError for a plan that is not of whole layers.
        """
        for start in range(0, self.total, self._block_steps):
            yield start, self.kept(np.arange(start, min(start + self._block_steps, self.total)))

    def digest(self) -> str:
        """Returns `sha256:` and 64 hexadecimal digits over every gate and every probability that scales a gate."""
        layers = asdict(self.layers) if isinstance(self.layers, LayersAt) else self.layers
        shape: dict[str, Any] = {
            "total": self.total,
            "layers": layers,
            "groups": self.groups,
            "where": self.schedule.rescale,
        }
        if self._parts != _LAYER or self.schedule.draw.per != "group":
            rows = asdict(self.sequences) if isinstance(self.sequences, StagesAt) else self.sequences
            shape |= {"per": self.schedule.draw.per, "unit": self.schedule.draw.unit, "sequences": rows}
        content = hashlib.sha256(canonical_json(shape).encode())
        for start in range(0, self.total, self._block_steps):
            steps = np.arange(start, min(start + self._block_steps, self.total))
            grid = self._grid(steps)
            for part in self._drawn(steps, grid):
                content.update(np.packbits(part, axis=-1).tobytes())
            divisor = (
                grid
                if self.schedule.rescale in ("sublayer", "block", "evaluation")
                else divisor_grid(self.schedule, steps, self.total, self.layers)
            )
            if divisor is not None:
                content.update(divisor.astype("<u8", copy=False).tobytes())
        return "sha256:" + content.hexdigest()

    @property
    def stack(self) -> LayersAt:
        """How many layers exist at each step."""
        return layers_at(self.layers)

    @property
    def _parts(self) -> tuple[str, ...]:
        return _SUBLAYERS if self.schedule.draw.unit == "sublayer" else _LAYER

    @property
    def _rows(self) -> StagesAt:
        """The number of sequences of one group at each step."""
        return stages_at(self.sequences or 1)

    @property
    def _block_steps(self) -> int:
        rows = self._rows.final if self.schedule.draw.per == "sequence" else 1
        return max(1, _BLOCK_CELLS // (self.stack.final * self.groups * len(self._parts) * rows))

    def _inside(self, steps: ArrayLike) -> NDArray[np.int64]:
        wanted = np.atleast_1d(np.asarray(steps, dtype=np.int64))
        if wanted.size and not (wanted.min() >= 0 and wanted.max() < self.total):
            raise ValueError(f"steps of a plan lie in 0 .. {self.total - 1}")
        return wanted

    def _grid(self, steps: NDArray[np.int64]) -> NDArray[np.uint64]:
        return self.schedule.keep_grid(steps, self.total, self.layers)

    def _drawn(self, steps: NDArray[np.int64], grid: NDArray[np.uint64] | None = None) -> tuple[NDArray[np.bool_], ...]:
        """Returns one array for the layers, or one for attention and one for feed-forward: bool (S, groups, layers),
        per sequence (S, groups, layers, sequences).
        """
        grid = self._grid(steps) if grid is None else grid
        before = self._held.totals.before(steps, grid.sum(axis=-1)) if self._held.totals is not None else None
        draw = self.schedule.draw
        samples = [Sample(self.seed, part, steps, self.groups, grid, before) for part in self._parts]
        if draw.strata is not None and self.sequences is not None:
            drawn = tuple(kept_rows(sample, draw.strata, self._rows.final) for sample in samples)
            if len(self._rows.sizes) == 1:
                return drawn
            exist = np.arange(self._rows.final) < self._rows.at(steps)[:, None, None, None]
            return tuple(as_bool(rows & exist) for rows in drawn)
        return tuple(draw.kept(sample) for sample in samples)

    def _block_of(self, step: int, group: int) -> _Block:
        """Returns (first step, kept by part, scale (S, layers)) of the block around `step`. The last one is cached."""
        if not (0 <= step < self.total and 0 <= group < self.groups):
            raise ValueError(f"step {step} of {self.total}, group {group} of {self.groups}: outside the plan")
        block = self._held.block
        if block is not None and block[0] <= step < block[0] + len(block[2]):
            return block
        length = min(self._block_steps, 1024)
        start = step - step % length
        steps = np.arange(start, min(start + length, self.total))
        block = start, self._drawn(steps), training_scale(self.schedule, steps, self.total, self.layers)
        self._held.block = block
        return block

    def _part(self, kept: NDArray[np.bool_], scale: NDArray[np.float64]) -> Gates | RowGates:
        """Returns the gates of one draw of one group: kept (layers,) or (layers, sequences), scale (layers,)."""
        where = where_in_training(self.schedule.rescale)
        if kept.ndim == 1:
            return Gates(tuple(kept.tolist()), tuple(np.where(kept, scale, 1.0).tolist()), where)
        return RowGates(tuple(tuple(np.flatnonzero(row).tolist()) for row in kept), tuple(scale.tolist()), where)
