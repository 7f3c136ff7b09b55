"""How many runs go on at once, and what each may use: threads divided among their ranks, `gpus_per_run` visible GPUs a
slot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pld_search.errors import ConfigError, Problem
from pld_search.host.hardware import torch_sees_gpus, usable_cores, visible_gpus
from pld_search.specs.machine import Machine


def open_slots(machine: Machine, environment: Mapping[str, str]) -> Slots:
    """The slots of a machine: as many as it states, else one for every `gpus_per_run` GPUs, else for as many cores.

    Where a launcher hands runs to a cluster, the slots are those stated, and devices are the cluster's to deal out. A
    stated number of threads is kept. Raises ConfigError when GPUs that runs do not share are fewer than the slots need.
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
    """The cores that each rank of a run is given by a cluster."""
    settings = machine.ray or machine.slurm
    return settings.cpus_per_rank if settings is not None else 1


def unseen_gpus(machine: Machine, slots: Slots) -> Problem | None:
    """`device: cuda` for runs of this machine, where `nvidia-smi` shows no GPU; a cluster's nodes are not looked at."""
    if machine.launcher != "local" or machine.device != "cuda" or slots.gpus:
        return None
    return Problem("no GPU is seen on this machine", ("device",), allowed="auto | cpu", given="cuda")


def check_gpus(machine: Machine, slots: Slots) -> None:
    """Raises ConfigError where runs are to have a GPU and neither `nvidia-smi` nor torch sees one."""
    problem = unseen_gpus(machine, slots)
    if problem is not None and not torch_sees_gpus():
        raise ConfigError(problem)


class Slots:
    """Numbered places for runs; the lowest free one is taken first.

    `cores` processor cores are divided among the `ranks` of `count` slots, at least one each; `gpus` (ids as in
    CUDA_VISIBLE_DEVICES) are dealt out in turn, `ranks` a slot. With one a slot, more slots than GPUs share them. Each
    run sees its own as `cuda:0` and onwards. The ranks of a slot of a cluster may be on several `nodes`, evenly.
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
        """Processes that share a GPU, or on a CPU the memory of a machine. The slots of a cluster are apart (not
        `together`).
        """
        processes = (self._count if self._together else 1) * self.ranks // self.nodes
        if self.device == "cpu":
            return processes
        return -(-processes // len(self.gpus)) if self.gpus else 1

    @property
    def free(self) -> int:
        """Slots without a run."""
        return len(self._free)

    def take(self) -> int:
        """Occupy the lowest free slot. Raises IndexError when none is free."""
        return self._free.pop(0)

    def occupy(self, slot: int) -> None:
        """Take the slot of a run that goes on already; there may be fewer slots than when it began."""
        self._free = [each for each in self._free if each != slot]

    def give_back(self, slot: int) -> None:
        """Free a slot that was taken."""
        self._free = sorted({*self._free, *({slot} if slot < self._count else ())})

    def environment(self, slot: int) -> dict[str, str]:
        """The variables of a run in this slot: its GPUs, and the threads of a rank for libraries that read them at
        import.
        """
        threads = str(self.threads)
        variables = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "false"}
        if self.gpus:
            first = slot * self.ranks
            variables["CUDA_VISIBLE_DEVICES"] = ",".join(
                self.gpus[number % len(self.gpus)] for number in range(first, first + self.ranks)
            )
        return variables
