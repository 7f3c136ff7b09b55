"""The measured cost of the steps of one architecture on one slot of a machine, which turns layers into seconds.

training/measure_profile.py measures a profile, alone on its slot, and profile_store.py stores it. Times are for a whole
global batch, forward and backward. A step that runs `kept` layers (the mean over its groups) and updates `touched`
layers takes

    seconds_fixed + seconds_per_layer x kept + seconds_update x touched

A layer with one kept sublayer counts with the seconds of that sublayer.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from pld_search.errors import Problem
from pld_search.frozen import Spec, digest_of
from pld_search.host.hardware import versions
from pld_search.schedules.staged_values import stages_of, stages_text
from pld_search.specs.execution import ActivationCheckpointing, Execution, MicroBatch
from pld_search.specs.experiment import Batch, Data, Digest, Experiment, Model
from pld_search.specs.pretraining import Electra, Pretraining

_SEVERAL_LENGTHS = (
    "seconds are measured for steps of one length, and this run has several; what it costs is known in FLOPs only"
)
_SEVERAL_RATES = (
    "seconds are measured for steps of one rate of masking, and this run has several; what it costs is known in FLOPs"
)
_DROPPING_GENERATOR = (
    "seconds are measured with the whole generator, and this one drops layers; what it costs is known in FLOPs only"
)
_SEVERAL_SIZES = (
    "seconds are measured for steps of one batch size, and this run has several; what it costs is known in FLOPs only"
)
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Setting(Spec):
    """Where and how a profile was measured; times hold for this setting only."""

    device: Annotated[str, Field(min_length=1, description="the name of the processor or card")]
    threads: Annotated[int | None, Field(ge=1)] = None
    micro_batch: MicroBatch | None = None
    activation_checkpointing: ActivationCheckpointing = "none"
    compile: bool = False
    deterministic: bool = True
    mode: str = "single"
    ranks: Annotated[int, Field(ge=1, description="processes of one run; a calibration measures one")] = 1
    versions: dict[str, str]


class Profile(Spec):
    """The measured costs of one architecture in one setting."""

    architecture: Digest
    about: Annotated[str, Field(description="the architecture, for people")]
    setting: Setting
    seconds_attention: Annotated[Seconds, Field(description="forward and backward of the attention of one kept layer")]
    seconds_feed_forward: Annotated[
        Seconds, Field(description="forward and backward of the feed-forward of one kept layer")
    ]
    seconds_update: Annotated[Seconds, Field(description="clipping and optimizer of one touched layer")]
    seconds_fixed: Annotated[
        Seconds, Field(description="the time of a step without any layer: input, embeddings, head, their update")
    ]
    seconds_start: Annotated[
        Seconds, Field(description="once a run: from opening the data to the first settled step, compilation included")
    ]
    bytes: Annotated[int, Field(ge=1, description="peak memory: of the device on CUDA, of the process on a CPU")]
    spread: Annotated[Seconds, Field(description="interquartile range of the full-depth steps over their median")]
    rounds: Annotated[int, Field(ge=1, description="measured steps of each kind")]
    measured: Annotated[str, Field(description="time of the measurement, as an ISO date and time with its zone")]

    @property
    def seconds_per_layer(self) -> float:
        """Seconds of forward and backward of one kept layer."""
        return self.seconds_attention + self.seconds_feed_forward

    @property
    def key(self) -> str:
        """The key under which the profile is stored."""
        return profile_key(self.architecture, self.setting)

    @property
    def memory_gb(self) -> float:
        """Peak memory in units of 10^9 bytes."""
        return self.bytes / 1e9

    @property
    def said(self) -> str:
        """The setting as text: `cpu (…, 2 cores), 1 thread, measured 2026-03-01 12:30`."""
        threads = self.setting.threads
        on = f"{self.setting.device}, {threads} thread{'s' if threads != 1 else ''}" if threads else self.setting.device
        return f"{on}, measured {datetime.fromisoformat(self.measured):%Y-%m-%d %H:%M}"


def architecture_digest(
    model: Model, data: Data, batch: Batch, precision: str, pretraining: Pretraining | None = None
) -> str:
    """Returns the digest of everything that decides the time and memory of a step except the schedule: shapes,
    precision and whether there is dropout, but no content and no rates.
    """
    learns = {} if pretraining is None else {"pretraining": pretraining.model_dump(mode="json")}
    return digest_of({**_architecture(model, data, batch, precision), **learns})


def architecture_of(experiment: Experiment) -> str:
    """Returns the `architecture_digest` of an Experiment."""
    shapes = experiment.model, experiment.data, experiment.batch
    return architecture_digest(*shapes, experiment.precision, experiment.pretraining)


def architecture_text(model: Model, data: Data, batch: Batch, precision: str) -> str:
    """Returns the architecture as text for people: `6 x 96, pre, alibi; 64 x 32 tokens, fp32`."""
    return (
        f"{model.layers} x {model.hidden}, {model.norm}, {model.positions}; {stages_text(batch.sequences)} x "
        f"{stages_text(data.length)} tokens, {precision}"
    )


def of_several_kinds(data: Data, batch: Batch, pretraining: Pretraining | None) -> list[Problem]:
    """Returns the reasons why no profile covers the steps of a run: several lengths, masking rates or batch sizes, or a
    generator with its own schedule. Paths start at the experiment.
    """
    rates = ", ".join(f"{100 * rate:g} %" for rate in data.masking.rates)
    several = (
        (len(data.masking.rates), _SEVERAL_RATES, ("data", "masking", "rate"), "one rate", rates),
        (len(stages_of(data.length)), _SEVERAL_LENGTHS, ("data", "length"), "one length", stages_text(data.length)),
        (len(batch.sizes), _SEVERAL_SIZES, ("batch", "sequences"), "one number", stages_text(batch.sequences)),
    )
    problems = [
        Problem(rule, path, allowed=allowed, given=given) for count, rule, path, allowed, given in several if count > 1
    ]
    if isinstance(pretraining, Electra) and pretraining.generator.schedule is not None:
        path = ("pretraining", "generator", "schedule")
        problems.append(Problem(_DROPPING_GENERATOR, path, allowed="full", given=pretraining.generator.schedule.name))
    return problems


def _architecture(model: Model, data: Data, batch: Batch, precision: str) -> dict[str, Any]:
    return {
        **{name: getattr(model, name) for name in ("layers", "hidden", "heads", "intermediate", "norm", "positions")},
        "max_length": model.max_length if model.positions == "learned" else None,
        "vocabulary": model.padded_vocabulary,
        "dropout": model.dropout > 0,
        "attention_dropout": model.attention_dropout > 0,
        "length": data.length,
        "predictions": data.predictions(data.final_length),
        "sequences": batch.sequences,
        "groups": batch.groups,
        "precision": precision,
    }


def setting_of(execution: Execution, device: str, ranks: int = 1) -> Setting:
    """Returns the setting of runs with this Execution, on a device of this name, by `ranks` processes each."""
    return Setting(
        device=device,
        threads=execution.threads,
        micro_batch=execution.micro_batch,
        activation_checkpointing=execution.activation_checkpointing,
        compile=execution.compile,
        deterministic=execution.deterministic,
        mode=execution.mode,
        ranks=ranks,
        versions=dict(versions()),
    )


def profile_key(architecture: str, setting: Setting) -> str:
    """Returns 64 hexadecimal digits over an architecture and a setting. Profiles from versions without activation
    checkpointing keep their keys.
    """
    later = {
        name for name in ("activation_checkpointing",) if getattr(setting, name) == Setting.model_fields[name].default
    }
    return digest_of([architecture, setting.model_dump(mode="json", exclude=later)]).removeprefix("sha256:")
