"""`machine.yaml`: the settings of a machine, not of a study: slots, devices, checkpoints, and the folders of corpora.

None of them enters a digest. The command line applies flags and the environment on top (`apply_sets`); the file
overrides the defaults.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pld_search.errors import KeyPath, Refused
from pld_search.host.disk import expanded
from pld_search.host.platform_limits import FORKS
from pld_search.schedules.units import Duration
from pld_search.specs import limits
from pld_search.specs.execution import Execution, Manner
from pld_search.specs.launcher_settings import Ray, Slurm
from pld_search.specs.tree_changes import apply_sets, expand
from pld_search.specs.validate import check
from pld_search.specs.written_schedules import place
from pld_search.specs.yaml_io import Map, load_file


class Machine(Manner):
    """The resources of one machine. `corpora` and `tasks` map the first word of a written place to a folder of this
    machine.
    """

    launcher: Annotated[
        Literal["local", "ray", "slurm"],
        Field(description="the service that starts the runs: this machine, or a cluster"),
    ] = "local"
    ray: Annotated[Ray | None, Field(description="launcher ray: the cluster, and the resources of a run")] = None
    slurm: Annotated[Slurm | None, Field(description="launcher slurm: the resources of a job")] = None
    device: Annotated[Literal["auto", "cpu", "cuda"], Field(description="auto: CUDA where there is one")] = "auto"
    slots: Annotated[
        int | None, Field(ge=1, le=limits.PROCESSES, description="runs at once; None: one a GPU, else one a core")
    ] = None
    gpus_per_run: Annotated[
        int, Field(ge=1, le=limits.PROCESSES, description="GPUs of one run, a rank each; on the CPU ranks of one run")
    ] = 1
    mode: Annotated[Literal["replicate", "shard"], Field(description="how the ranks of one run hold the model")] = (
        "replicate"
    )
    worker: Annotated[
        Literal["auto", "warm", "fresh"],
        Field(
            description="warm: runs are forked from a process that has loaded everything; fresh: each loads it itself; "
            "auto: warm on a CPU under Linux"
        ),
    ] = "auto"
    threads: Annotated[
        int | None,
        Field(
            ge=1,
            le=limits.PROCESSES,
            description="threads of one rank; None: the cores divided among the ranks of all slots",
        ),
    ] = None
    retries: Annotated[
        int,
        Field(
            ge=0,
            le=limits.COUNT,
            description="number of times that a failed run is launched again, from its checkpoint",
        ),
    ] = 2
    timeout: Annotated[
        Duration | None,
        Field(le=limits.SECONDS, description="wall-clock time of one run over its launches, `2 h`; None: no limit"),
    ] = None
    stall_minutes: Annotated[
        float | None,
        Field(
            gt=0,
            le=limits.SECONDS,
            description="a run that writes nothing for this time is killed and resumed; None: never",
        ),
    ] = 60.0
    runs: Annotated[str, Field(min_length=1, description="the folder of all studies")] = "runs"
    cache: Annotated[str, Field(min_length=1, description="the folder of prepared corpora and tasks")] = (
        "~/.cache/pld-search"
    )
    calibration_seconds: Annotated[
        float,
        Field(
            ge=0,
            le=limits.SECONDS,
            allow_inf_nan=False,
            description="how long each architecture is measured by `plan --calibrate`",
        ),
    ] = 10.0
    price_per_hour: Annotated[
        float | None,
        Field(ge=0, allow_inf_nan=False, description="price of an hour of a slot (of a GPU, if each run has its own)"),
    ] = None
    corpora: Annotated[dict[str, str], Field(description="name -> folder, for places that start with the name")] = {}
    tasks: Annotated[dict[str, str], Field(description="task or suite -> folder")] = {}

    @model_validator(mode="after")
    def _launcher_is_described(self) -> Self:
        """The nodes of a cluster cannot be counted from here, so the number of slots and the device must be stated."""
        strange = [name for name in ("ray", "slurm") if getattr(self, name) is not None and self.launcher != name]
        wrong: list[tuple[KeyPath, str]] = [
            ((name,), f"these settings belong to launcher `{name}`, not to `{self.launcher}`") for name in strange
        ]
        if self.launcher != "local" and self.slots is None:
            wrong.append((("slots",), f"launcher `{self.launcher}` needs slots: how many runs it is given at once"))
        if self.launcher != "local" and self.device == "auto":
            wrong.append(
                (
                    ("device",),
                    f"launcher `{self.launcher}` needs a device, cpu or cuda: `auto` would ask this machine, "
                    "not the nodes",
                )
            )
        if self.worker == "warm" and (self.launcher != "local" or self.gpus_per_run > 1 or not FORKS):
            rule = "a warm worker forks runs of one process, on this machine, under Linux"
            wrong.append((("worker",), f"{rule}: leave it `auto`, or say `fresh`"))
        if self.gpus_per_run % self.nodes_per_run:
            wrong.append(
                (
                    ("ray", "nodes"),
                    f"{self.gpus_per_run} ranks (gpus_per_run) cannot be the same number on each of "
                    f"{self.nodes_per_run} nodes",
                )
            )
        if wrong:
            raise Refused(wrong)
        return self

    def is_warm(self, device: str) -> bool:
        """Returns whether runs on `device` are forked from a warm worker; on a GPU only with `worker: warm`."""
        return self.worker == "warm" or (self.worker == "auto" and FORKS and device == "cpu")

    @property
    def nodes_per_run(self) -> int:
        """The number of nodes that share one run."""
        return self.ray.nodes if self.ray is not None else 1

    @property
    def places(self) -> dict[str, str]:
        """Every named folder; a task wins over a corpus of the same name."""
        return {**self.corpora, **self.tasks}

    def execution(self, device: str, threads: int | None, folders: Mapping[str, str], sharing: int = 1) -> Execution:
        """Returns the Execution of one run on `device` (`cpu`, `cuda`, `cuda:0`), with the folders, threads and sharing
        that the slot and `prepare` decided.
        """
        return Execution(
            device=device,
            mode="single" if self.gpus_per_run == 1 else self.mode,
            threads=self.threads or threads,
            sharing=sharing,
            folders=dict(folders),
            **{name: getattr(self, name) for name in Manner.model_fields},
        )


def load_machine(path: Path | None, sets: Sequence[str] = ()) -> Machine:
    """Reads the machine in `path` (None: the defaults) with `sets` on top. Relative folders in the file start at the
    folder of the file.

    Raises ConfigError with every problem.
    """
    tree = Map() if path is None else expand(load_file(path))
    machine = check(Machine, apply_sets(tree, sets))
    if path is None:
        return machine
    base = path.parent.absolute()
    written = apply_sets(Map(), sets)

    def placed(text: str, from_file: bool) -> str:
        return str(place(text, base)) if from_file else str(expanded(text))

    changes: dict[str, object] = {
        name: placed(getattr(machine, name), name in tree and name not in written)
        for name in ("runs", "cache")
        if name in machine.model_fields_set
    }
    for name in ("corpora", "tasks"):
        folders: dict[str, str] = getattr(machine, name)
        changes[name] = {word: placed(text, word not in written.get(name, {})) for word, text in folders.items()}
    return machine.model_copy(update=changes)
