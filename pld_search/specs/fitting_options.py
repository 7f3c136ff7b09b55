"""Options of an architecture or an optimizer that do not fit the rest of an experiment: the objective, growth, or a
schedule.

architecture.py handles clashes among the options themselves. Paths here start at the experiment.
"""

from __future__ import annotations

from itertools import pairwise

from pld_search.errors import Reason
from pld_search.schedules.depth import DepthTable
from pld_search.schedules.schedule import Schedule
from pld_search.specs.architecture import Architecture
from pld_search.specs.growth import REPEATED, Growth
from pld_search.specs.pretraining import ELECTRA, MLM_NSP, Electra, Pretraining


def unlearnable(model: Architecture, pretraining: Pretraining | None) -> list[Reason]:
    """Returns the reasons why the objective cannot train a model with these options. The list is empty if it can."""
    reasons = []
    kind = None if pretraining is None else pretraining.kind
    if isinstance(pretraining, Electra) and pretraining.generator.schedule is not None:
        at = ("pretraining", "generator")
        reasons += [
            reason._replace(path=(*at, *reason.path))
            for reason in of_other_kinds(model, pretraining.generator.schedule)
        ]
    if isinstance(pretraining, Electra) and model.positions == "rope":
        own = pretraining.generator.sizes(1, model.hidden, model.heads, model.hidden)
        if (own.hidden // own.heads) % 2:
            sizes = f"the generator would be {own.hidden} wide with {own.heads} heads"
            why = f"`positions: rope` rotates pairs of values, and {sizes}: hidden / heads must be even"
            reasons.append(Reason(("pretraining", "generator", "width"), why, (("model", "positions"),)))
    if kind == ELECTRA and model.tie_embeddings is False:
        why = "`pretraining: electra`: generator and discriminator share all embeddings, and the decoder is one of them"
        reasons.append(Reason(("model", "tie_embeddings"), why, (("pretraining",),)))
    if kind == MLM_NSP and model.token_types is False:
        why = "`pretraining: mlm+nsp` tells the two parts of a pair by their token types"
        reasons.append(Reason(("model", "token_types"), why, (("pretraining",),)))
    return reasons


def ungrown(model: Architecture, growth: Growth | None) -> list[Reason]:
    """Returns the reasons why a stack with these options cannot grow like this. The list is empty if it can."""
    if growth is None or model.first_norm is not False or not _copies_the_first(growth):
        return []
    why = "`first_norm: false` makes the first layer another one than its copies would have to be; `weights: fresh`"
    return [Reason(("growth", "weights"), why, (("model", "first_norm"),))]


def _copies_the_first(growth: Growth) -> bool:
    """Returns whether some stage copies the first layer. `middle` does so if it copies all layers, or all but one."""
    if growth.weights != "middle":
        return growth.weights in REPEATED
    for (_, layers), (_, after) in pairwise(growth.pairs):
        while layers < after:  # each round copies at most the layers that exist
            new = min(after - layers, layers)
            if layers - new < 2:
                return True
            layers += new
    return False


def of_other_kinds(model: Architecture, schedule: Schedule) -> list[Reason]:
    """Returns the reasons why a depth table by kind of layer does not fit the model's layers. The list is empty if it
    fits.
    """
    depth = schedule.depth
    if not isinstance(depth, DepthTable) or depth.global_every is None:
        return []
    own = None if model.attention is None else model.attention.global_every
    if own == depth.global_every:
        return []
    whose = "all layers of the model see all positions" if own is None else f"the model has `global_every: {own}`"
    why = f"a table for `global_every: {depth.global_every}`, but {whose}"
    return [Reason(("schedule", "depth", "global_every"), why, (("model", "attention"),))]


def drifting(optimizer: str | None, schedule: Schedule) -> list[Reason]:
    """Returns the reasons why the schedule's treatment of skipped layers does not fit this kind of optimizer. The list
    is empty if it fits.
    """
    if optimizer != "muon" or schedule.skipped != "zero_grad":
        return []
    why = (
        "`optimizer.kind: muon` takes steps of one size, whatever the gradient: with a gradient of 0 its "
        "stale momentum would "
        "move a skipped layer by a whole step; `skipped: freeze`"
    )
    return [Reason(("schedule", "skipped"), why, (("optimizer", "kind"),))]
