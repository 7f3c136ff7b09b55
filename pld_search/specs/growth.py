"""Growth: a stack that starts with few layers and gains layers in stages of the run (`growth:` of an experiment)."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal, Self, cast

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from pld_search.errors import Reason, Refused, below
from pld_search.frozen import Spec
from pld_search.schedules.existing_layers import Layers, LayersAt
from pld_search.schedules.staged_values import (
    as_pairs,
    at_the_end,
    first_is_the_start,
    form_of,
    held,
    in_order,
    unbegun,
)
from pld_search.schedules.units import Extent
from pld_search.specs import limits

Weights = Literal["stack", "interleave", "middle", "fresh", "zero"]
Moments = Literal["copy", "reset"]
Size = Annotated[int, Field(ge=1, le=limits.LAYERS)]
Stages = Annotated[
    Annotated[dict[Extent, Size], Tag("mapping")] | Annotated[tuple[tuple[Extent, Size], ...], Tag("pairs")],
    Discriminator(form_of),
    BeforeValidator(in_order),
    AfterValidator(as_pairs),
    Field(
        description=(
            "layers by place: `{0 %: 3, 30 %: 6, 60 %: 12}`, in order, the first at `0 %`, the last with all "
            "layers of the model"
        )
    ),
]
REPEATED: tuple[Weights, ...] = ("stack", "interleave")
"""These repeat the whole stack, so they reach only multiples of it."""
UNCOPIED: tuple[Weights, ...] = ("fresh", "zero")
"""These add layers on top that are not copies."""
_WEIGHTS = (
    "of new layers: stack (copies of the whole stack on top) | interleave (each block repeated beside itself) | middle "
    "(copies of the middle, beside them) | fresh (initial values) | zero (initial values, but begins as the identity)"
)
_MOMENTS = "AdamW's moments of new layers: copy (with the weights) | reset (none yet)"
_WHOSE = "its layers"


class Growth(Spec):
    """A stack that grows: at each step the model has the layers of the current stage. It grows right before the first
    step of a stage.

    stages: place -> layers. A place is a share of the run (rounded to a step by floor(x + 0.5)) or a number of steps.
    Where two places round to one step, the later place holds.
    weights:
        `stack`: block L + i is a copy of block i, repeated up to the new number, which is a multiple of the old number
        L.
        `interleave`: every block is repeated beside itself, also to a multiple of L.
        `middle`: copies of the middle blocks are placed right above these blocks, any number.
        `fresh`: new blocks on top have the initial values of their (seed, name), any number.
        `zero`: as `fresh`, but the matrices that lead back to the residual stream are 0, so that a new block of a
        pre-norm model starts as the identity.
    moments, of the new blocks: `copy` takes the moments of the copied block, its step count included; `reset` starts
    them as at the start of a run. Existing blocks keep their moments.

    Source: progressive stacking (Gong et al., "Efficient Training of BERT by Progressively Stacking", ICML 2019):
    stack, doubling.
    interleave: Chang et al., "Multi-level Residual Networks from Dynamical Systems View", ICLR 2018 (arXiv 1710.10348).
    middle: MIDAS (Saunshi et al., "On the Inductive Bias of Stacking Towards Improving Reasoning", NeurIPS 2024).
    zero: Net2Net's deeper network (Chen et al., ICLR 2016), for residual blocks.
    The sources leave the moments to the optimizer, so the choice must be stated here.
    """

    stages: Stages
    weights: Annotated[Weights, Field(description=_WEIGHTS)]
    moments: Annotated[Moments, Field(description=_MOMENTS)]

    @model_validator(mode="after")
    def _has_a_meaning(self) -> Self:
        reasons = (
            below(("stages",), [*first_is_the_start(self.pairs), *at_the_end(self.pairs, _WHOSE)]) + self._unreachable()
        )
        if self.weights in UNCOPIED and self.moments == "copy":
            why = f"with `weights: {self.weights}` nothing is copied, so new layers have no moments; `moments: reset`"
            reasons.append(Reason(("moments",), why, (("weights",),)))
        if reasons:
            raise Refused(reasons)
        return self

    @property
    def pairs(self) -> tuple[tuple[str, int], ...]:
        """(place, layers) of every stage."""
        return cast(Any, self.stages)  # type: ignore[no-any-return]  # the validator has turned every form into pairs

    @property
    def final(self) -> int:
        """The number of layers at the end."""
        return self.pairs[-1][1]

    def layers_at(self, total: int) -> LayersAt:
        """Returns the layers at each step of a run of `total` steps; the run must have no misfits."""
        return LayersAt(*held(self.pairs, total))

    def misfits(self, total: int) -> list[Reason]:
        """Returns the reasons why this growth does not fit a run of `total` steps, each with its key."""
        return below(("stages",), unbegun(self.pairs, total, _WHOSE))

    def _unreachable(self) -> list[Reason]:
        """Returns reasons against stages that do not rise or that copies of the stage before cannot produce."""
        reasons: list[Reason] = []
        for (earlier, before), (place, size) in pairwise(self.pairs):
            path, other = ("stages", place), ("stages", earlier)
            if size <= before:
                reasons.append(Reason(path, f"{size} layers after {before}: stages rise", (other,)))
            elif self.weights in REPEATED and size % before:
                some = ", ".join(str(before * times) for times in (2, 3, 4))
                why = (
                    f"`weights: {self.weights}` repeats the {before} layers before: it reaches {some}, ..., "
                    f"not {size}; "
                    "`weights: fresh` reaches any number"
                )
                reasons.append(Reason(path, why, (other, ("weights",))))
        return reasons


def layers_of(growth: Growth | None, layers: int, total: int) -> Layers:
    """Returns the layers at each step of a run of `total` steps: always `layers`, unless the stack grows."""
    return layers if growth is None else growth.layers_at(total)


def sizes_of(growth: Growth | None, layers: int) -> Layers:
    """Returns the layers at each stage when the steps of a run are not known yet: the sizes are right, the begins are
    not.
    """
    return (
        layers if growth is None else LayersAt(tuple(range(len(growth.pairs))), tuple(size for _, size in growth.pairs))
    )


def unsuited(growth: Growth | None, layers: int | None, norm: str | None = None) -> list[Reason]:
    """Returns the reasons why an experiment's `growth` does not fit its model; paths start at the experiment.

    layers: the model's layers; None for a model continued from a checkpoint. norm: the kind of norm.
    """
    if growth is None:
        return []
    if growth.weights == "zero" and norm not in (None, "pre"):
        why = "only a pre-norm layer that adds nothing is the identity: with norms after the sum it still norms"
        return [Reason(("growth", "weights"), why, (("model", "norm"),))]
    if growth.final == layers:
        return []
    if layers is None:
        return [
            Reason(
                ("growth",),
                "a checkpoint brings all its layers (`model: {from: ...}`); only a new model can grow",
                (("model",),),
            )
        ]
    path = ("growth", "stages", growth.pairs[-1][0])
    return [Reason(path, f"growth ends with {growth.final} layers, the model has {layers}", (("model", "layers"),))]
