"""Slots: how many runs go on at once, and what each run may use. The threads are divided among the ranks; each slot
sees `gpus_per_run` GPUs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pld_search.errors import ConfigError, Problem
from pld_search.host.hardware import torch_sees_gpus, usable_cores, visible_gpus
from pld_search.specs.machine import Machine


def open_slots(machine: Machine, environment: Mapping[str, str]) -> Slots:
    """Returns the slots of a machine: the stated number, else one for every `gpus_per_run` GPUs, else one for as many
    cores.

    With a cluster launcher the number of slots is the stated one, and the cluster assigns devices. A stated number of
    threads is kept. Raises ConfigError when runs of several ranks need more GPUs than there are.
    """
    if machine.launcher != "local":
        threads = machine.threads or cpus_per_rank(machine)
        return Slots(
            machine.slots or 1,
            1,
            (),
            threads,
            machine.device,
            machine.gpus_per_run,
            machine.nodes_per_run,
            together=False,
        )
    gpus = () if machine.device == "cpu" else visible_gpus(environment)
    cores = usable_cores()
    device = "cuda" if gpus or machine.device == "cuda" else "cpu"
    ranks = machine.gpus_per_run
    count = machine.slots or max(1, (len(gpus) or cores) // ranks)
    if gpus and ranks > 1 and count * ranks > len(gpus):
        raise ConfigError(
            Problem(
                "not enough GPUs for the slots",
                ("gpus_per_run",),
                allowed=f"slots x gpus_per_run up to {len(gpus)}",
                given=f"{count} x {ranks}",
            )
        )
    return Slots(count, cores, gpus, machine.threads, device, ranks)


def cpus_per_rank(machine: Machine) -> int:
    """Returns the number of cores that a cluster gives each rank of a run."""
    settings = machine.ray or machine.slurm
    return settings.cpus_per_rank if settings is not None else 1


def unseen_gpus(machine: Machine, slots: Slots) -> Problem | None:
    """Returns the problem of `device: cuda` when `nvidia-smi` shows no GPU; does not look at a cluster's nodes."""
    if machine.launcher != "local" or machine.device != "cuda" or slots.gpus:
        return None
    return Problem("no GPU is seen on this machine", ("device",), allowed="auto | cpu", given="cuda")


def check_gpus(machine: Machine, slots: Slots) -> None:
    """Raises ConfigError when runs need a GPU and neither `nvidia-smi` nor torch sees one."""
    problem = unseen_gpus(machine, slots)
    if problem is not None and not torch_sees_gpus():
        raise ConfigError(problem)


class Slots:
    """Numbered places for runs; the lowest free slot is taken first.

    `cores` processor cores are divided among the `ranks` of `count` slots, at least one core each. `gpus` (ids as in
    CUDA_VISIBLE_DEVICES) are assigned in turn, `ranks` a slot. When a slot has one rank, more slots than GPUs share the
    GPUs. Each run sees its GPUs as `cuda:0` and onwards. On a cluster the ranks of a slot may be spread evenly over
    several `nodes`.
    """

    def __init__(
        self,
        count: int,
        cores: int,
        gpus: Sequence[str] = (),
        threads: int | None = None,
        device: str = "cpu",
        ranks: int = 1,
        nodes: int = 1,
        *,
        together: bool = True,
    ) -> None:
        self._free, self._count, self._together = list(range(count)), count, together
        self.gpus = tuple(gpus)
        self.device, self.ranks, self.nodes = device, ranks, nodes
        self.threads = threads or max(1, cores // (count * ranks))

    @property
    def sharing(self) -> int:
        """The number of processes that share a GPU or, on a CPU, the memory of a machine. The slots of a cluster share
        neither (not `together`).
        """
        processes = (self._count if self._together else 1) * self.ranks // self.nodes
        if self.device == "cpu":
            return processes
        return -(-processes // len(self.gpus)) if self.gpus else 1

    @property
    def free(self) -> int:
        """The number of slots without a run."""
        return len(self._free)

    def take(self) -> int:
        """Occupies the lowest free slot. Raises IndexError when none is free."""
        return self._free.pop(0)

    def occupy(self, slot: int) -> None:
        """Takes the slot of a run that is already live; the machine may have fewer slots than when the run began."""
        self._free = [each for each in self._free if each != slot]

    def give_back(self, slot: int) -> None:
        """Frees a slot that was taken."""
        self._free = sorted({*self._free, *({slot} if slot < self._count else ())})

    def environment(self, slot: int) -> dict[str, str]:
        """Returns the environment variables of a run in this slot: its GPUs, and the threads of a rank for libraries
        that read them at import.
        """
        threads = str(self.threads)
        variables = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "false"}
        if self.gpus:
            first = slot * self.ranks
            variables["CUDA_VISIBLE_DEVICES"] = ",".join(
                self.gpus[number % len(self.gpus)] for number in range(first, first + self.ranks)
            )
        return variables
