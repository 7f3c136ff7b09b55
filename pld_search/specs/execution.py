"""How a run is executed: devices, threads, checkpoints and places. Execution is part of no digest and changes results
only by rounding.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pld_search.frozen import Spec
from pld_search.specs import limits
from pld_search.specs.layer_series import Analysis

Mode = Literal["single", "replicate", "shard"]
MicroBatch = Literal["auto"] | Annotated[int, Field(ge=1, le=limits.COUNT)]
ActivationCheckpointing = Literal["none", "blocks"] | Annotated[int, Field(ge=2, le=limits.LAYERS)]
"""Checkpoints no block, every block, or every K-th block."""


class Manner(Spec):
    """How the steps of a run are executed and recorded. A machine file states it for all runs, an Execution for one."""

    micro_batch: Annotated[
        MicroBatch | None,
        Field(
            description=(
                "sequences of one forward pass; auto: as many as fit; None is a whole group, or a rank's part of it"
            )
        ),
    ] = None
    memory_gb: Annotated[
        float | None,
        Field(
            gt=0,
            allow_inf_nan=False,
            description="10^9 bytes that a rank may take with micro_batch auto; None: its part of the device",
        ),
    ] = None
    compile: Annotated[bool, Field(description="torch.compile of every block")] = False
    activation_checkpointing: Annotated[
        ActivationCheckpointing,
        Field(
            description="blocks whose activations are computed again in the backward pass: none | blocks | K, "
            "every K-th"
        ),
    ] = "none"
    deterministic: Annotated[bool, Field(description="deterministic kernels only")] = True
    checkpoint_every: Annotated[
        int | None, Field(ge=1, le=limits.STEPS, description="steps between checkpoints; None: by time only")
    ] = None
    checkpoint_seconds: Annotated[float, Field(gt=0, le=limits.SECONDS, description="seconds between checkpoints")] = (
        60.0
    )
    keep_checkpoints: Annotated[
        int, Field(ge=1, le=limits.COUNT, description="number of newest checkpoints that are kept")
    ] = 2
    log_points: Annotated[
        int, Field(ge=1, le=limits.STEPS, description="maximum number of training events of a run")
    ] = 200
    speed_probes: Annotated[
        int,
        Field(ge=0, le=limits.STEPS, description="full-depth steps timed between the run's own, for speed/relative"),
    ] = 12


class Execution(Manner):
    """The settings that the machine decides. `folders` maps every content digest of the Experiment to its folder.

    With several ranks, `device: cuda` means the GPU of each rank, and `threads` counts the threads of each rank.
    """

    device: Annotated[str, Field(pattern=r"^(cpu|cuda(:[0-9]+)?)$")] = "cpu"
    threads: Annotated[
        int | None, Field(ge=1, le=limits.PROCESSES, description="intra-op threads; None leaves torch's own choice")
    ] = None
    mode: Annotated[Mode, Field(description="one process, or how its ranks hold the model")] = "single"
    sharing: Annotated[
        int,
        Field(ge=1, le=limits.PROCESSES, description="processes that share the GPU, or on a CPU the machine's memory"),
    ] = 1
    folders: dict[str, str] = {}
    analysis: Annotated[Analysis | None, Field(description="how often layers are analysed; None: never")] = None
