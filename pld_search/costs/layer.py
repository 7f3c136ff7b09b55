"""What one encoder block costs, by shapes alone: FLOPs of a forward pass, parameters, bytes kept for its backward."""

from __future__ import annotations

from pld_search.costs.forward import BYTES_OF_FLOAT, Forward
from pld_search.specs.experiment import Model

_WORD = 2


def block_flops(model: Model, sequences: int, length: int) -> tuple[int, int]:
    """FLOPs of one forward pass of `sequences` sequences of `length` positions, 2mnk a product: those of attention
    (projections, scores, weighted sum) and of the feed-forward.
    """
    tokens = sequences * length
    projections = 4 * 2 * tokens * model.hidden * model.hidden
    scores_and_sum = 2 * 2 * tokens * length * model.hidden
    return projections + scores_and_sum, 2 * 2 * tokens * model.hidden * model.intermediate


def block_parameters(model: Model) -> int:
    """Parameters of one block; biases and norms too."""
    width, inner = model.hidden, model.intermediate
    attention = 4 * width * width + 4 * width
    feed_forward = 2 * width * inner + inner + width
    return attention + feed_forward + 2 * norm_parameters(model)


def norm_parameters(model: Model) -> int:
    """Parameters of one norm."""
    return 2 * model.hidden


def block_bytes(of: Forward) -> int:
    """What autograd keeps of one block: the inputs of its products, norms and GELU, and the masks of its dropouts.

    Both kinds of norm keep two streams in float32 and two inputs of products; query, key, value, and the mixed values;
    the inner layer twice.
    """
    hidden = of.tokens * of.model.hidden
    streams = (2 * BYTES_OF_FLOAT + 2 * of.width) * hidden
    inner = 2 * of.width * of.tokens * of.model.intermediate
    masks = 2 * hidden * (1 if of.cuda else of.width) if of.model.dropout else 0
    statistics = 4 * BYTES_OF_FLOAT * of.tokens
    return streams + inner + masks + statistics + _attention_bytes(of)


def _attention_bytes(of: Forward) -> int:
    """Query, key, value and what comes of them; the weights of attention, and a word each, only with dropout on a CPU
    (model/attention.py).
    """
    scores, alibi = of.sequences * of.model.heads * of.length**2, of.model.positions == "alibi"
    projected = 4 * of.width * of.tokens * of.model.hidden
    if not of.cuda and of.model.attention_dropout:
        return projected + scores * (BYTES_OF_FLOAT + _WORD)
    bias = 2 * of.model.heads * of.length**2 if alibi and of.half else 0
    return projected + BYTES_OF_FLOAT * of.model.heads * of.tokens + bias
