"""What a machine file says of the launchers that hand runs to a cluster, a block of its own each."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pld_search.frozen import Spec

Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Ray(Spec):
    """Which Ray cluster runs the runs, and what each takes of it besides `gpus_per_run`."""

    address: Annotated[str, Field(min_length=1, description="HOST:PORT of the cluster's head; auto: RAY_ADDRESS, else the cluster of this machine")] = "auto"
    cpus_per_rank: Annotated[int, Field(ge=1, description="cores of each rank, and its threads unless `threads` says otherwise")] = 1
    resources: Annotated[dict[str, Amount], Field(description="Ray's custom resources of a run, name -> amount")] = {}


class Slurm(Spec):
    """What each job asks of SLURM besides `gpus_per_run`."""

    cpus_per_rank: Annotated[int, Field(ge=1, description="cores of each rank, and its threads unless `threads` says otherwise")] = 1
    options: Annotated[list[Annotated[str, Field(pattern="^--")]], Field(description="more options of sbatch, `--partition=gpu`, `--time=240`")] = []
