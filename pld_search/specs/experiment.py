"""The Experiment: a frozen, canonical value without paths, without `auto` and without anything that a machine decides.

`train` executes an `Experiment`, and a run records it. Its blocks have the shape of the YAML `experiment:` block. Only
`data` and `evaluation.tasks` differ: they hold content digests in place of names and places (specs/template.py holds
the written form). The digest and the seed together identify a run.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from pld_search.errors import Reason, Refused, below
from pld_search.frozen import SparseSpec, Spec, digest_of
from pld_search.schedules.existing_layers import Layers
from pld_search.schedules.rising_stages import StagesAt, stages_in
from pld_search.schedules.schedule import Schedule
from pld_search.schedules.staged_values import stages_of
from pld_search.schedules.units import Extent, exact, round_half_up, split, steps_of
from pld_search.specs import limits
from pld_search.specs.architecture import Architecture
from pld_search.specs.batch_sizes import Sequences, size_misfits
from pld_search.specs.fitting_options import drifting, of_other_kinds, ungrown, unlearnable
from pld_search.specs.growth import Growth, layers_of, unsuited
from pld_search.specs.lengths import Length, final_length, length_misfits, refuse_beyond
from pld_search.specs.masking_rates import Rate, RatesAt, rate_misfits, rates_at
from pld_search.specs.pretraining import WrittenPretraining

Positive = Annotated[int, Field(ge=1, le=limits.COUNT)]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$", description="a content digest")]
Precision = Literal["fp32", "bf16", "fp16"]
MOMENTUM = 0.95
"""The default momentum of Muon."""


def padded(vocabulary: int) -> int:
    """Returns the rows of an embedding matrix: `vocabulary` rounded up to a multiple of 64, for tensor cores."""
    return -(-vocabulary // 64) * 64


class Model(Architecture):
    """The complete architecture. `vocabulary` is the tokenizer's size (unpadded); `intermediate` is always stated."""

    intermediate: Positive
    vocabulary: Positive
    checkpoint: Annotated[
        Digest | None, Field(description="weights to start from (`model: {from: ...}`), by content")
    ] = None

    @property
    def padded_vocabulary(self) -> int:
        """Rows of the embedding matrix."""
        return padded(self.vocabulary)


class Masking(Spec):
    """BERT masking: a share `rate` of the positions is predicted. Of these positions, 80 % become [MASK], 10 % a random
    token and 10 % stay. `rate` is one number or has stages; validation and test use the last stage.
    """

    rate: Rate = 0.15

    @property
    def rates(self) -> tuple[float, ...]:
        """The rates of all stages."""
        return tuple(rate for _, rate in stages_of(self.rate))


class Data(Spec):
    """The data of a run: a prepared corpus (which fixes tokenizer and splits), cut into packed sequences of `length`.

    `length` is one number or has stages. Every stage has the same number of sequences in a step, and validation and
    test use the last stage.
    """

    corpus: Digest
    tokenizer: Digest
    length: Length
    masking: Masking = Masking()

    @property
    def final_length(self) -> int:
        """Positions of a sequence at the end of the run, in validation and in test; no stage has more."""
        return final_length(self.length)

    @property
    def first_length(self) -> int:
        """Positions of a sequence at the start of the run."""
        return int(stages_of(self.length)[0][1])

    def lengths_at(self, total: int) -> StagesAt:
        """Returns the length at each step of a run of `total` steps."""
        return stages_in(self.length, total)

    def rates_at(self, total: int) -> RatesAt:
        """Returns the masking rate at each step of a run of `total` steps."""
        return rates_at(self.masking.rate, total)

    def misfits(self, total: int) -> list[Reason]:
        """Returns the reasons why its stages do not fit a run of `total` steps; paths start at the experiment."""
        lengths, rates = length_misfits(self.length, total), rate_misfits(self.masking.rate, total)
        return below(("data", "length"), lengths) + below(("data", "masking", "rate"), rates)

    def with_rate(self, rate: float) -> Data:
        """Returns the same data with one masking rate."""
        return self if self.masking.rate == rate else self.model_copy(update={"masking": Masking(rate=rate)})

    def predictions(self, length: int) -> int:
        """Returns the number of masked positions of a sequence of `length` at the last rate: rate x length by floor(x +
        0.5) on exact decimals, at least one.
        """
        return max(1, round_half_up(exact(self.masking.rates[-1]) * length))


class Batch(Spec):
    """A global batch of `sequences`, divided into `groups` equal groups with one plan each. The size is one number, or
    rises in stages (a warm-up of the batch).
    """

    sequences: Sequences
    groups: Annotated[Positive, Field(description="equal parts of a step, each with a draw of its own")] = 1

    @model_validator(mode="after")
    def _groups_divide_sequences(self) -> Self:
        rule, stages = f"must be a multiple of groups ({self.groups})", stages_of(self.sequences)
        uneven = [(place, size) for place, size in stages if size % self.groups]
        if uneven and isinstance(self.sequences, int):
            raise ValueError(f"sequences ({self.sequences}) {rule}")
        if uneven:
            raise Refused([Reason(("sequences", place), f"{size} {rule}", (("groups",),)) for place, size in uneven])
        return self

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of sequences of a step in every stage, rising."""
        return tuple(size for _, size in stages_of(self.sequences))

    @property
    def most(self) -> int:
        """The number of sequences of a step at the end of the run, which is the largest."""
        return self.sizes[-1]

    @property
    def per_group(self) -> int:
        """The number of sequences of one group at the end of the run."""
        return self.most // self.groups

    @property
    def group_sizes(self) -> tuple[int, ...]:
        """The number of sequences of one group in every stage."""
        return tuple(size // self.groups for size in self.sizes)

    def sizes_at(self, total: int) -> StagesAt:
        """Returns the number of sequences at each step of a run of `total` steps."""
        return stages_in(self.sequences, total)

    def group_sizes_at(self, total: int) -> int | StagesAt:
        """Returns the number of sequences of one group in a run of `total` steps: one number, or stages."""
        stages = self.sizes_at(total)
        groups = StagesAt(stages.begins, tuple(size // self.groups for size in stages.sizes))
        return groups if len(groups.sizes) > 1 else groups.final

    def misfits(self, total: int) -> list[Reason]:
        """Returns the reasons why its stages do not fit a run of `total` steps; paths start at the experiment."""
        return below(("batch", "sequences"), size_misfits(self.sequences, total))

    def of(self, sequences: int) -> Batch:
        """Returns a batch of one size, `sequences`, with the same number of groups."""
        return self if self.sequences == sequences else Batch(sequences=sequences, groups=self.groups)


class OtherRate(Spec):
    """AdamW's settings for the parameters that Muon does not update: embeddings, heads, norms and biases."""

    lr: Annotated[float, Field(gt=0, description="peak learning rate of the parameters that Muon does not update")]


class Optimizer(SparseSpec):
    """The optimizer: AdamW, or Muon for the matrices of layers with AdamW for the rest. Weight decay applies to
    matrices only. In a warm-up of W steps, step t has lr peak (t+1)/W; after it, lr follows `shape`, which reaches zero
    at T unless it is exponential.
    """

    kind: Annotated[
        Literal["adamw", "muon"] | None,
        AfterValidator(lambda kind: None if kind == "adamw" else kind),
        Field(description="adamw, or muon: Muon for the matrices of layers, AdamW for the rest; default: adamw"),
    ] = None
    lr: Annotated[float, Field(gt=0, description="peak learning rate")]
    shape: Annotated[
        Literal["linear", "wsd", "cosine", "exponential"],
        Field(
            description=(
                "after the warm-up: linear or as a cosine to 0; wsd: constant, then down over `decay`; "
                "exponential: by `rate`, never 0"
            )
        ),
    ] = "linear"
    warmup: Annotated[
        Extent, Field(description="the first part of the run, over which lr rises linearly to its peak")
    ] = "2 %"
    decay: Annotated[Extent, Field(description="wsd only: the last part, over which lr falls linearly to 0")] = "20 %"
    rate: Annotated[
        float | None,
        Field(gt=0, lt=1, description="exponential only, and required there: the factor on lr every 1000 steps"),
    ] = None
    weight_decay: Annotated[float, Field(ge=0, description="decoupled weight decay of the matrices")] = 0.01
    clip: Annotated[float, Field(gt=0, description="largest global gradient norm")] = 1.0
    beta1: Annotated[float, Field(ge=0, lt=1, description="decay of AdamW's first moment")] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1, description="decay of AdamW's second moment")] = 0.999
    epsilon: Annotated[float, Field(gt=0, description="added to the root of the second moment")] = 1e-8
    adamw: Annotated[OtherRate | None, Field(description="muon only, and required there: AdamW's learning rate")] = None
    momentum: Annotated[float | None, Field(ge=0, lt=1, description="muon only: decay of its momentum; 0.95")] = None

    @model_validator(mode="after")
    def _rate_is_of_exponential(self) -> Self:
        if self.shape == "exponential" and self.rate is None:
            raise Refused(
                [
                    (
                        ("rate",),
                        "shape `exponential` needs a rate: the factor on lr every 1000 steps (DeepSpeed's is 0.99)",
                    )
                ]
            )
        if self.shape != "exponential" and self.rate is not None:
            raise Refused([(("rate",), f"a rate belongs to shape `exponential`, not to `{self.shape}`")])
        return self

    @model_validator(mode="after")
    def _muon_has_two_rates(self) -> Self:
        if self.kind == "muon" and self.adamw is None:
            why = (
                "`kind: muon` updates the matrices of layers alone; the rest needs a rate of its own: `adamw: "
                "{lr: 1e-3}`"
            )
            raise Refused([Reason(("adamw",), why, (("kind",),))])
        stated = [key for key in ("adamw", "momentum") if getattr(self, key) is not None]
        if self.kind is None and stated:
            raise Refused([Reason((key,), "belongs to `kind: muon`", (("kind",),)) for key in stated])
        return self

    def misfits(self, total: int) -> list[Reason]:
        """Returns the reasons why warm-up and decay do not fit a run of `total` steps. Shares are added before
        rounding: 50 % and 50 % of 3 steps would be 2 and 2.
        """
        decays = self.shape == "wsd"
        (first, unit), (last, other) = split(self.warmup), split(self.decay)
        fit = first + last <= 100 if decays and unit == other == "%" else self._ends_of(total) <= total
        what = f"warm-up ({self.warmup}) and decay ({self.decay}) are" if decays else f"the warm-up ({self.warmup}) is"
        return [] if fit else [Reason(("warmup",), f"{what} longer than the run of {total:,} steps")]

    def _ends_of(self, total: int) -> int:
        return steps_of(self.warmup, total) + (steps_of(self.decay, total) if self.shape == "wsd" else 0)


class Divergence(SparseSpec):
    """When a run counts as diverged. `lr_factor` and `recoveries` belong to `on_divergence: lower_lr` only."""

    nonfinite_steps: Annotated[
        Positive,
        Field(description="consecutive steps with non-finite gradients (fp16: beyond the scaler's own search)"),
    ] = 20
    min_loss_scale: Annotated[float, Field(gt=0, description="fp16: a loss scale below this has collapsed")] = 1.0
    spike: Annotated[
        float, Field(gt=0, description="nats above the running median of the training loss, held for `spike_steps`")
    ] = 3.0
    spike_steps: Annotated[Positive, Field(description="consecutive steps that a spike lasts")] = 20
    window: Annotated[Positive, Field(description="steps of the running median")] = 100
    chance: Annotated[
        Extent | None,
        Field(
            description=(
                "from here on a running median at or above a uniform guess (ln V) is a loss stuck at chance; 50 "
                "%; 100 %: never"
            )
        ),
    ] = None
    lr_factor: Annotated[
        float | None, Field(gt=0, lt=1, description="lower_lr: the factor on lr from each recovery on; 0.5")
    ] = None
    recoveries: Annotated[
        int | None, Field(ge=1, le=limits.COUNT, description="lower_lr: recoveries of one run, at most; 3")
    ] = None

    def chance_from(self, total: int) -> int | None:
        """Returns the completed steps of a run of `total` from which a loss can be stuck at chance; None for never."""
        start = steps_of(self.chance or "50 %", total)
        return start if start < total else None


OnDivergence = Literal["stop", "continue_in_fp32", "lower_lr"]


def misplaced(policy: OnDivergence, rules: Divergence) -> None:
    """Raises Refused for keys of `divergence` that belong to another policy than `policy`."""
    stated = [key for key in ("lr_factor", "recoveries") if getattr(rules, key) is not None]
    if stated and policy != "lower_lr":
        raise Refused(
            [(("divergence", key), f"belongs to `on_divergence: lower_lr`, not to `{policy}`") for key in stated]
        )


class Task(Spec):
    """One downstream task, identified by content; its name is `suite/name`, as in metric names."""

    suite: Literal["glue", "demo", "task"]
    name: str
    digest: Digest
    kind: Literal["classification", "regression"]
    labels: Annotated[int, Field(ge=1, description="number of classes; 1 for a regression")]
    metrics: tuple[str, ...]


def _rates_form(value: Any) -> str:
    return "is several" if isinstance(value, list | tuple) else "is one"


FineTuningRates = Annotated[
    Annotated[Annotated[float, Field(gt=0)], Tag("is one")]
    | Annotated[
        Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1, max_length=50)], Tag("is several")
    ],
    Discriminator(_rates_form),
]
"""One peak learning rate, or a list from which each row and task takes its best."""


class Evaluation(Spec):
    """Fine-tuning at full depth on every task: `seeds` repeats for each `lr`, `epochs` passes over the examples."""

    tasks: tuple[Task, ...] = ()
    seeds: Positive = 1
    lr: FineTuningRates = 1e-4
    epochs: Positive = 3
    batch: Positive = 32
    length: Annotated[
        int, Field(ge=8, le=limits.LENGTH, description="longest input in tokens; longer ones are cut")
    ] = 128

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rates, in the order in which they are written."""
        return self.lr if isinstance(self.lr, tuple) else (self.lr,)

    def rate_and_repeat(self, number: int) -> tuple[float, int]:
        """Returns the learning rate and the repeat of a task's fine-tuning `number`. All repeats of a rate are
        consecutive.
        """
        rate = min(number // self.seeds, len(self.rates) - 1)
        return self.rates[rate], number - rate * self.seeds


class Validation(SparseSpec):
    """The held-out loss: at full depth, with masks keyed by a constant, at every `every` of the run and at T.

    The final losses use `final` sequences of each split and are stored by document.
    """

    every: Annotated[Extent, Field(description="the distance between two validations")] = "10 %"
    sequences: Annotated[Positive, Field(description="at most this many sequences, evenly spaced over the split")] = 512
    final: Annotated[
        Positive | None,
        Field(
            description=(
                "at most this many sequences of each split at the end, with losses by document; None: "
                "`sequences`, without them"
            )
        ),
    ] = None


class Experiment(SparseSpec):
    """Everything that decides a result, and nothing else. An optional block that is absent is not part of the
    digest.
    """

    model: Model
    data: Data
    batch: Batch
    optimizer: Optimizer
    precision: Precision
    on_divergence: OnDivergence = "stop"
    divergence: Divergence = Divergence()
    evaluation: Evaluation = Evaluation()
    validation: Validation = Validation()
    schedule: Schedule
    growth: Annotated[Growth | None, Field(description="a stack that grows; None: all layers from the start")] = None
    pretraining: WrittenPretraining = None
    test: Annotated[
        Literal["unseen"] | None,
        Field(description="unseen: no loss on the test split is computed; other runs of the study confirm on it"),
    ] = None
    steps: Annotated[int, Field(ge=1, le=limits.STEPS, description="T, the optimizer steps of the run")]
    seed: Annotated[int, Field(ge=0, le=2 * limits.SEED)] = 0

    @model_validator(mode="after")
    def _positions_reach(self) -> Self:
        if self.model.positions == "learned":
            refuse_beyond(self.data.length, self.model.max_length)
        return self

    @model_validator(mode="after")
    def _stages_are_for_this_run(self) -> Self:
        reasons = self.data.misfits(self.steps) + self.batch.misfits(self.steps)
        if reasons:
            raise Refused(reasons)
        return self

    @model_validator(mode="after")
    def _growth_is_for_this_run(self) -> Self:
        reasons = unsuited(self.growth, self.model.layers if self.model.checkpoint is None else None, self.model.norm)
        if self.growth is not None:
            reasons += below(("growth",), self.growth.misfits(self.steps))
        if reasons:
            raise Refused(reasons)
        return self

    @model_validator(mode="after")
    def _what_is_learned_fits_the_model(self) -> Self:
        learns, groups = self.pretraining, self.batch.group_sizes
        reasons = [] if learns is None else learns.misfits(self.model.hidden, self.model.heads)
        reasons += [] if learns is None else learns.run_misfits(self.model.layers, self.steps, groups)
        if reasons:
            raise Refused(below(("pretraining",), reasons))
        unfit = unlearnable(self.model, self.pretraining) + ungrown(self.model, self.growth)
        if unfit:
            raise Refused(unfit)
        return self

    @model_validator(mode="after")
    def _recovery_fits_the_policy(self) -> Self:
        misplaced(self.on_divergence, self.divergence)
        return self

    @model_validator(mode="after")
    def _schedule_is_for_this_run(self) -> Self:
        reasons = self.schedule.misfits(self.steps, self.layers_at, self.batch.group_sizes)
        kinds = of_other_kinds(self.model, self.schedule)
        if kinds or drifting(self.optimizer.kind, self.schedule):
            raise Refused([*kinds, *drifting(self.optimizer.kind, self.schedule)])
        if reasons:
            raise Refused([reason._replace(why=f"schedule: {reason.why}") for reason in below(("schedule",), reasons)])
        return self

    @property
    def layers_at(self) -> Layers:
        """The number of layers at each step: `model.layers`, unless the stack grows to it."""
        return layers_of(self.growth, self.model.layers, self.steps)

    @property
    def digest(self) -> str:
        """The identity of a configuration, without seed, names and `about` texts."""
        content: dict[str, Any] = self.model_dump(mode="json", exclude={"seed"})
        second = content.get("pretraining", {}).get("generator", {}).get("schedule", {})
        for word in ("name", "about", "source"):
            content["schedule"].pop(word, None)
            second.pop(word, None)
        return digest_of(content)
