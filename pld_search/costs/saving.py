"""Solves a number that a schedule leaves open for a saving: a share of blocks, of all FLOPs, or as much as another
schedule saves.

    temporal: {kind: exponential, start: 1.0, end: {saving: 25 % of blocks}, rate: 100 / run}
    temporal: {kind: exponential, start: 1.0, end: {saving: 20 % of total}, rate: 100 / run}
    temporal: {kind: exponential, start: 1.0, end: {saving: like pld}, rate: 100 / run}

`of blocks` is 1 - (blocks expected to run) / (steps x layers). `of total` is the same for all FLOPs, which needs the
architecture. `like NAME` is the sum over steps and layers of p_l(t) of the named schedule at the same steps and layers.
Where layers grow, full depth means the final depth: a layer that does not exist yet counts as saved, and the schedule
of `like NAME` grows in the same way. Where sequences get longer, a block counts with its FLOPs at the step's length in
all three forms. The number is solved from below. The run never spends more than the target; it spends less by at most a
relative 1e-9 or one grid step of 2^-32 a layer, whichever is larger. (`lowest` runs whole layers; there it may be less
by up to 0.1 % of the run's blocks.)
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from pld_search.costs.expected_depth import kept_grid
from pld_search.costs.flops import AnyFlops, flops_at
from pld_search.costs.open_numbers import Value, family_of, opened, openings
from pld_search.errors import ConfigError, KeyPath, Position, Problem
from pld_search.schedules.existing_layers import Layers, layers_at
from pld_search.schedules.keep_grid import STEPS
from pld_search.schedules.schedule import Schedule
from pld_search.schedules.units import exact, parse_share
from pld_search.specs.problems_in_tree import also, problems_at
from pld_search.specs.validate import check
from pld_search.specs.written_schedules import schedule_tree
from pld_search.specs.yaml_io import Map, mark_at, plain, value_at

__all__ = ["form_of", "mark_of", "openings", "resolve_schedule"]

Load = Callable[[str], Map]
_TOLERANCE = 1e-9
_COARSE = 1e-3
_FORMS = "{saving: 25 % of blocks} | {saving: 25 % of total} | {saving: like NAME}"
_SHARE_OF = re.compile(r"(.+?)\s+of\s+(blocks|total)")


@dataclass(frozen=True, slots=True)
class _Run:
    """The run for which a number is solved. flops: the FLOPs of its steps, for savings `of total` and for steps with
    different FLOPs.
    """

    layers: Layers
    steps: int
    flops: AnyFlops | None

    @property
    def final(self) -> int:
        """The layers of full depth. Savings are relative to it, so layers that are added later count as saved
        before.
        """
        return layers_at(self.layers).final

    @property
    def whole(self) -> int:
        """The sum of every layer at every step, in grid steps."""
        return sum(weight * (last - first) for first, last, weight in self._weights()) * self.final * STEPS

    def kept(self, schedule: Schedule) -> int:
        """Returns the sum that a schedule keeps, in grid steps; a layer is weighted by its FLOPs at the step's
        length.
        """
        return sum(
            weight * kept_grid(schedule, self.steps, self.layers, first, last)
            for first, last, weight in self._weights()
        )

    def fixed_share(self) -> tuple[int, int, Fraction]:
        """Returns the FLOPs of all blocks and of the rest, up to a common factor, and the expected saving of a second
        network with its own schedule, which is a part of the rest.
        """
        assert self.flops is not None
        flops = flops_at(self.flops)
        ranges = list(flops.ranges(self.steps))
        unit = math.gcd(*(last - first for first, last, _ in ranges))
        counted = [((last - first) // unit, each) for first, last, each in ranges]
        rest = sum(count * (each.fixed + flops.second_at_full_depth(each)) for count, each in counted)
        saved = Fraction(0)
        if flops.second is not None:
            schedule, layers = flops.second
            for first, last, each in ranges:
                dropped = layers * (last - first) * STEPS - kept_grid(schedule, self.steps, layers, first, last)
                saved += Fraction(sum(each.second) * dropped, STEPS * unit)
        return sum(count * each.block for count, each in counted) * self.final, rest, saved

    def _weights(self) -> Iterator[tuple[int, int, int]]:
        """Yields (first step, step after the last, weight of a block); one stage of weight 1 if all steps are equal."""
        if self.flops is None:
            yield 0, self.steps, 1
            return
        flops = flops_at(self.flops)
        unit = math.gcd(*(each.block for each in flops.each))
        for first, last, each in flops.ranges(self.steps):
            yield first, last, each.block // unit


@dataclass(frozen=True, slots=True)
class _Target:
    """The sum to keep, in grid steps over the run; its text in the file, and the function that writes another sum in
    the same way.
    """

    kept: int
    words: str
    shown: Callable[[int], str]


def mark_of(tree: Any, path: KeyPath) -> Position | None:
    """Returns where the word `saving` of an opening was written: after a merge the mapping around it may come from the
    base.
    """
    return mark_at(tree, (*path, "saving"), of="key")


def resolve_schedule(
    tree: Map, layers: Layers, steps: int, *, load: Load | None = None, flops: AnyFlops | None = None
) -> Schedule:
    """Returns the schedule of a complete tree (no `base`), with its `{saving: ...}` solved for a run of `steps` steps
    and `layers` layers.

    `load(NAME)` gives the complete tree of a named schedule; by default a name is the library's, and a place is
    relative to the file that holds it. `flops` are the FLOPs of the run's steps (costs/flops.py), required for `of
    total`. Raises ConfigError for an invalid tree, several open numbers, a NAME that refers back to itself, and a
    saving that no value reaches (with the reachable range).
    """
    return _resolve(tree, _Run(layers, steps, flops), load, ())


def _resolve(tree: Map, run: _Run, load: Load | None, seen: tuple[str, ...]) -> Schedule:
    open_paths = openings(tree)
    if not open_paths:
        return check(Schedule, tree)
    path, mark = open_paths[0], mark_of(tree, open_paths[0])
    value, problems = family_of(path), _other_problems(tree, open_paths, run)
    # otherwise a key above it is the mistake
    if value is None and not any(path[: len(problem.path)] == problem.path for problem in problems):
        problems.append(
            Problem(
                "this cannot be solved for a saving",
                path,
                mark,
                allowed="a keep rate, a rate or a power of temporal or depth",
            )
        )
    if value is None or problems:
        raise ConfigError(problems)
    target = _target(value_at(tree, path), path, mark, run, load, seen)
    return _solved(tree, path, mark, value, target, run)


def _other_problems(tree: Map, open_paths: list[KeyPath], run: _Run) -> list[Problem]:
    """Returns the other problems of a tree, and why it does not fit this run, each at its place. Every open number gets
    some value for this check.
    """
    closed: Any = tree
    for path in open_paths:
        value = family_of(path)
        closed = opened(closed, path, value(0.5) if value is not None else None)
    found = [
        Problem("only one number of a schedule can be solved", path, mark_of(tree, path)) for path in open_paths[1:]
    ]
    try:
        found += problems_at(tree, check(Schedule, closed).misfits(run.steps, run.layers))
    except ConfigError as error:
        closed_by_nothing = [path for path in open_paths if family_of(path) is None]
        found += [
            problem
            for problem in error.problems
            if problem.path not in closed_by_nothing or problem.message == "unknown key"
        ]
    return found


def _solved(tree: Map, path: KeyPath, mark: Position | None, value: Value, target: _Target, run: _Run) -> Schedule:
    contents = plain(tree)

    def candidate(position: float) -> Schedule:
        return Schedule.model_validate(opened(contents, path, value(position)))

    def kept(position: float) -> int:
        return run.kept(candidate(position))

    position, least, most = _solve(kept, target.kept, max(int(target.kept * _TOLERANCE), run.whole // STEPS))
    if position is None:
        ends = [target.shown(end) for end in (least, most)]
        # another number may make the target unreachable
        elsewhere = also(tree, (("temporal",), ("depth",)), mark)
        raise ConfigError(
            Problem(
                f"no value {target.words}{elsewhere}",
                path,
                mark,
                f"between {ends[0]} and {ends[1]}",
                target.shown(target.kept),
            )
        )
    if target.kept - least > _COARSE * run.whole:
        near = f"{target.shown(least)} or {target.shown(most)}, since whole layers run"
        elsewhere = also(tree, (("draw", "kind"),), mark)
        raise ConfigError(Problem(f"no value {target.words}{elsewhere}", path, mark, near, target.shown(target.kept)))
    return candidate(position)


def _target(
    mapping: Any, path: KeyPath, mark: Position | None, run: _Run, load: Load | None, seen: tuple[str, ...]
) -> _Target:
    """Returns the target of a `{saving: ...}`. Raises ConfigError for another form, and for `of total` without an
    architecture.
    """
    form = form_of(mapping, path, mark)
    if isinstance(form, str):
        return _like(form, path, mark, run, load, seen)
    written, saved, whole = form
    if whole == "blocks":
        return _Target(
            int((1 - saved) * run.whole),
            f"saves {written} of blocks",
            lambda kept: f"{100 * (1 - kept / run.whole):.4g} % of blocks",
        )
    return _of_total(saved, written, path, mark, run)


def form_of(mapping: Any, path: KeyPath, mark: Position | None) -> str | tuple[str, Decimal, str]:
    """Parses a `{saving: ...}` into the NAME after `like`, or into (the share as written, the share, blocks | total).
    Raises ConfigError for another form.
    """
    text = mapping["saving"] if len(mapping) == 1 else None
    words = text.split(maxsplit=1) if isinstance(text, str) else []
    share = _SHARE_OF.fullmatch(text.strip()) if isinstance(text, str) else None
    if len(words) == 2 and words[0] == "like":
        return words[1]
    if share is None:
        written = ", ".join(f"{key}: {part}" for key, part in mapping.items())
        raise ConfigError(
            Problem(
                "a saving is a share of blocks or of the total, or that of another schedule",
                path,
                mark,
                _FORMS,
                f"{{{written}}}",
            )
        )
    try:
        return share[1], exact(parse_share(share[1])), share[2]
    except ValueError as error:
        raise ConfigError(Problem(str(error), path, mark, allowed=_FORMS, given=share[1])) from None


def _of_total(saved: Decimal, written: str, path: KeyPath, mark: Position | None, run: _Run) -> _Target:
    if run.flops is None:
        raise ConfigError(
            Problem(
                "a saving of the total needs the architecture: it is solved where model, data and batch are known",
                path,
                mark,
            )
        )
    blocks, fixed, elsewhere = run.fixed_share()
    kept_share = (Fraction(1 - saved) * (blocks + fixed) - fixed + elsewhere) / blocks
    part, already = blocks / (blocks + fixed), float(elsewhere / (blocks + fixed))
    return _Target(
        int(kept_share * run.whole),
        f"saves {written} of the total",
        lambda kept: f"{100 * ((1 - kept / run.whole) * part + already):.4g} % of the total",
    )


def _like(
    name: str, path: KeyPath, mark: Position | None, run: _Run, load: Load | None, seen: tuple[str, ...]
) -> _Target:
    if name in seen:
        raise ConfigError(Problem("the savings form a circle", path, mark, given=" -> ".join((*seen, name))))
    other = load(name) if load is not None else _load(name, mark)
    kept = run.kept(_resolve(other, run, load, (*seen, name)))
    return _Target(
        kept, f"keeps as many blocks as {name}", lambda kept: f"{100 * kept / run.whole:.4g} % of the blocks kept"
    )


def _solve(kept: Callable[[float], int], target: int, tolerance: int) -> tuple[float | None, int, int]:
    """Returns the position in [0, 1] with target - tolerance <= kept <= target, the sum kept there, and the sum kept
    just above.

    Returns None, and the sums kept at both ends, when the target is not between them. The method is regula falsi with
    halved weights (Illinois). `kept` is monotone and nearly linear in a keep rate, so few evaluations suffice. It falls
    back to halving, and to the nearest float below the target where the grid (or a draw of whole layers) allows nothing
    closer.
    """
    ends = ((0.0, kept(0.0)), (1.0, kept(1.0)))
    # sorted by the kept sum: positions may be in reverse order
    (low, low_kept), (high, high_kept) = sorted(ends, key=lambda end: end[1])
    if not low_kept <= target <= high_kept:
        return None, low_kept, high_kept
    if high_kept == target:
        return high, high_kept, high_kept
    low_gap, high_gap = float(target - low_kept), float(high_kept - target)
    for guess_number in range(200):
        if target - low_kept <= tolerance:
            break
        middle = (low + high) / 2
        if middle in (low, high):
            break
        guess = low + (high - low) * (low_gap / (low_gap + high_gap)) if guess_number % 8 < 6 else middle
        guess = guess if min(low, high) < guess < max(low, high) else middle
        found = kept(guess)
        if found <= target:
            low, low_kept, low_gap, high_gap = guess, found, float(target - found), high_gap / 2
        else:
            high, high_kept, high_gap, low_gap = guess, found, float(found - target), low_gap / 2
    return low, low_kept, high_kept


def _load(name: str, mark: Position | None) -> Map:
    return schedule_tree(name, Path(mark.file).parent if mark is not None else None, mark=mark)
