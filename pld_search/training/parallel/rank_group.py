"""The processes (ranks) of one run, and their common decisions.

Collectives of training run on the mesh: nccl on CUDA, gloo on a CPU. Decisions (stop, write a checkpoint, give up) use
a separate gloo group between the hosts, so that they neither wait for a device nor run into a training timeout. The
first rank does the work that only one rank can do (read records, write events), and every rank gets the result or the
error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from pld_search.errors import ConfigError, Interrupted, PldSearchError, Problem
from pld_search.specs.execution import Execution
from pld_search.training.device import open_device
from pld_search.training.parallel.meeting import open_store

Result = TypeVar("Result")
Failure = TypeVar("Failure", bound=Exception)
_PATIENCE = timedelta(days=7)  # long enough for a rank that fine-tunes; a rank that has died is noticed at once


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a process in its run: rank 0 .. world - 1 of the run, and rank `local` of its node.

    `meeting` is where it finds the others (meeting.py); None: at the address in torchrun's environment variables.
    """

    rank: int
    world: int
    local: int
    meeting: str | None = None


class OtherRank(PldSearchError):
    """Another rank could not continue; the error has that rank's message and exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # an instance shadows the class's default


@dataclass(frozen=True, slots=True)
class _SentError:
    """An exception in the form in which it is sent to other ranks."""

    text: str
    code: int
    interrupted: bool

    @classmethod
    def of(cls, error: Exception) -> _SentError:
        if isinstance(error, PldSearchError):
            return cls(str(error), error.exit_code, isinstance(error, Interrupted))
        first = (str(error).strip().splitlines() or [""])[0]
        return cls(f"{type(error).__name__}: {first}", PldSearchError.exit_code, False)

    def again(self, rank: int) -> PldSearchError:
        if self.interrupted:
            return Interrupted(self.text, self.code - 128)
        return OtherRank(f"rank {rank}: {self.text}", self.code)


@dataclass(frozen=True, slots=True)
class Ranks:
    """The processes of one run, seen from one of them. Without a `mesh` there is one process and nothing is shared."""

    rank: int = 0
    world: int = 1
    local: int = 0
    mesh: DeviceMesh | None = None
    group: dist.ProcessGroup | None = None

    @property
    def first(self) -> bool:
        """Whether this rank reads and writes the records."""
        return self.rank == 0

    def gathered(self, value: Result) -> list[Result]:
        """Returns the values of all ranks, by rank."""
        if self.group is None:
            return [value]
        found: list[Result] = [value] * self.world
        dist.all_gather_object(found, value, group=self.group)
        return found

    def each(self, work: Callable[[], Result]) -> Result:
        """Runs `work` on every rank. If it fails on one, all ranks raise: the failing rank its own error, the others
        OtherRank (or Interrupted).
        """
        if self.group is None:
            return work()
        result, error = _tried(work)
        told = self.gathered(None if error is None else _SentError.of(error))
        if error is not None:
            raise self.one_voice(error)
        for rank, other in enumerate(told):
            if other is not None:
                raise self.one_voice(other.again(rank))
        assert not isinstance(result, _NoResult)
        return result

    def first_does(self, work: Callable[[], Result]) -> Result:
        """Runs `work` on the first rank and returns its result on all ranks; if it fails, all ranks raise."""
        if self.group is None:
            return work()
        result, error = _tried(work) if self.first else (_NoResult(), None)
        message: list[object] = [result, None if error is None else _SentError.of(error)]
        dist.broadcast_object_list(message, src=0, group=self.group)
        if error is not None:
            raise error
        if isinstance(message[1], _SentError):
            raise self.one_voice(message[1].again(0))
        return message[0]  # type: ignore[return-value]  # the result of the first rank's `work`

    def one_voice(self, error: Failure) -> Failure:
        """Returns `error`, which every rank raises, marked so that only the first rank prints it."""
        if isinstance(error, PldSearchError):
            error.silent = not self.first
        return error

    def highest(self, *numbers: int) -> list[int]:
        """Returns the largest value of each number over all ranks."""
        if self.group is None:
            return list(numbers)
        together = torch.tensor(numbers)
        dist.all_reduce(together, dist.ReduceOp.MAX, group=self.group)
        return together.tolist()

    def total(self, numbers: Tensor) -> Tensor:
        """Sums `numbers` over all ranks, in place, on the device, without waiting for it. Returns `numbers`."""
        if self.mesh is not None:
            dist.all_reduce(numbers, group=self.mesh.get_group())
        return numbers

    def wait(self) -> None:
        """Waits until every rank is here: no rank may leave before the first has written its last record."""
        if self.group is not None:
            dist.barrier(group=self.group)


ALONE = Ranks()


def lost_rank(error: Exception) -> bool:
    """Returns whether an error only reports a closed connection: another rank has gone, and that rank knows the reason.
    gloo has no exception class for it.
    """
    return isinstance(error, dist.DistError) or (type(error) is RuntimeError and "gloo/transport" in str(error))


class _NoResult:
    """No result."""


def _tried(work: Callable[[], Result]) -> tuple[Result | _NoResult, Exception | None]:
    try:
        return work(), None
    except Exception as error:  # sent to the other ranks, and raised by the caller
        return _NoResult(), error


@contextmanager
def open_ranks(place: Place | None, execution: Execution) -> Iterator[Ranks]:
    """Joins the other processes of the run; `place` is None for a single process.

    Raises ConfigError if the mode or the device does not fit several processes.
    """
    if place is None or (place.world == 1 and execution.mode == "single"):
        yield ALONE
        return
    if execution.mode == "single":
        rule = "several processes share a run by replicas or by shards"
        given = f"single, on {place.world} ranks"
        raise Ranks(place.rank, place.world).one_voice(
            ConfigError(Problem(rule, ("mode",), allowed="replicate | shard", given=given))
        )
    device = open_device(execution, place.local if place.world > 1 else None)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    store = None if place.meeting is None else open_store(place.meeting, place.rank, place.world)
    own = device if device.type == "cuda" else None
    dist.init_process_group(backend, store=store, rank=place.rank, world_size=place.world, device_id=own)
    try:
        mesh = init_device_mesh(device.type, (place.world,), mesh_dim_names=("ranks",))
        yield Ranks(place.rank, place.world, place.local, mesh, dist.new_group(backend="gloo", timeout=_PATIENCE))
    finally:
        dist.destroy_process_group()
