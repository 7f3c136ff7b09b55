"""The settings of launchers that submit runs to a cluster, in a machine file; each launcher has its own block."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from pld_search.errors import Refused
from pld_search.frozen import Spec
from pld_search.specs import limits

Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]
OWN_OPTIONS = (
    "--parsable",
    "--job-name",
    "--array",
    "--output",
    "--error",
    "--open-mode",
    "--export",
    "--wrap",
    "--wait",
)
"""Options of sbatch that the launcher sets itself, or that would keep it from finding its jobs."""


class Ray(Spec):
    """The Ray cluster of the runs, and the resources of each run besides `gpus_per_run`."""

    address: Annotated[
        str,
        Field(
            min_length=1,
            description="HOST:PORT of the cluster's head; auto: RAY_ADDRESS, else the cluster of this machine; "
            "local: one of this machine for this study alone",
        ),
    ] = "auto"
    cpus_per_rank: Annotated[
        int,
        Field(
            ge=1, le=limits.PROCESSES, description="cores of each rank, and its threads unless `threads` says otherwise"
        ),
    ] = 1
    nodes: Annotated[
        int,
        Field(ge=1, le=limits.PROCESSES, description="nodes of one run; each has `gpus_per_run / nodes` ranks"),
    ] = 1
    resources: Annotated[
        dict[str, Amount], Field(description="Ray's custom resources of a run on each of its nodes, name -> amount")
    ] = {}


class Slurm(Spec):
    """The resources that each SLURM job requests besides `gpus_per_run`."""

    cpus_per_rank: Annotated[
        int,
        Field(
            ge=1, le=limits.PROCESSES, description="cores of each rank, and its threads unless `threads` says otherwise"
        ),
    ] = 1
    options: Annotated[
        list[Annotated[str, Field(pattern="^--")]],
        Field(description="more options of sbatch, `--partition=gpu`, `--time=240`"),
    ] = []

    @model_validator(mode="after")
    def _leaves_the_launcher_its_own(self) -> Self:
        taken = [option for option in self.options if option.partition("=")[0] in OWN_OPTIONS]
        if taken:
            raise Refused([(("options",), f"the launcher sets {', '.join(taken)} itself, or finds its jobs no more")])
        return self
