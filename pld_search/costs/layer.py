"""The cost of one encoder block from shapes alone: FLOPs of a forward pass, parameters, bytes kept for its backward."""

from __future__ import annotations

from pld_search.costs.forward import BYTES_OF_FLOAT, Forward
from pld_search.specs.experiment import Model

_WORD = 2


def block_flops(model: Model, sequences: int, length: int) -> tuple[int, int]:
    """Returns the FLOPs of attention (projections, scores, weighted sum) and of the feed-forward, in one forward pass
    of `sequences` sequences of `length` positions, 2mnk for each product.
    """
    tokens = sequences * length
    projections = 4 * 2 * tokens * model.hidden * model.hidden
    scores_and_sum = 2 * 2 * tokens * length * model.hidden
    maps = 3 if model.gated else 2
    return projections + scores_and_sum, maps * 2 * tokens * model.hidden * model.intermediate


def block_parameters(model: Model) -> int:
    """Returns the parameters of one block, biases and norms included."""
    width, inner, maps = model.hidden, model.intermediate, 3 if model.gated else 2
    biases = 0 if model.bias is not None else 4 * width + (maps - 1) * inner + width
    of_heads = 2 * norm_parameters(model, width // model.heads) if model.qk_norm else 0
    norms = (4 if model.norm == "sandwich" else 2) * norm_parameters(model)
    return block_matrices(model) + biases + of_heads + norms


def block_matrices(model: Model) -> int:
    """Returns the parameters of one block that belong to matrices."""
    return 4 * model.hidden**2 + (3 if model.gated else 2) * model.hidden * model.intermediate


def stack_parameters(model: Model) -> int:
    """Returns the parameters of all blocks; the first block may lack a norm."""
    lacking = norm_parameters(model) if model.first_norm is False else 0
    return model.layers * block_parameters(model) - lacking


def norm_parameters(model: Model, width: int | None = None) -> int:
    """Returns the parameters of one norm of `width` values (None: the hidden width)."""
    biased = model.norm_kind is None and model.bias is not False
    return (2 if biased else 1) * (width or model.hidden)


def block_bytes(of: Forward) -> int:
    """Returns the bytes that autograd keeps for one block: the inputs of its products, norms and non-linearity, and the
    masks of its dropouts.

    Norms before or after a sublayer keep two streams in float32 and two inputs of products; norms on both sides keep
    two values more. Attention keeps query, key, value and the mixed values. The feed-forward keeps its inner layer
    twice, or four times with a gate.
    """
    model, hidden = of.model, of.tokens * of.model.hidden
    norms = 4 if model.norm == "sandwich" else 2
    streams = (2 * BYTES_OF_FLOAT + (norms - 2) * _normed_width(of) + 2 * of.width) * hidden
    inner = inner_copies(model) * of.width * of.tokens * model.intermediate
    masks = 2 * hidden * (1 if of.cuda else of.width) if model.dropout else 0
    statistics = norms * _statistics(model) * of.tokens
    return streams + inner + masks + statistics + _attention_bytes(of)


def inner_copies(model: Model) -> int:
    """Returns how often the inner layer of a feed-forward is kept: before and after its non-linearity; with a gate, the
    gate and the product too.
    """
    return 4 if model.gated else 2


def _normed_width(of: Forward) -> int:
    """Returns the bytes of a number that a norm keeps of a product's output. Autocast makes it float32 on a GPU, and an
    RMSNorm does so everywhere; a LayerNorm on a CPU reads halves.
    """
    return BYTES_OF_FLOAT if of.cuda or of.model.norm_kind == "rms" else of.width


def _statistics(model: Model) -> int:
    """Returns the bytes that a norm keeps for each row beside its input: mean and deviation, or the root mean
    square.
    """
    return BYTES_OF_FLOAT * (2 if model.norm_kind is None else 1)


def _attention_bytes(of: Forward) -> int:
    """Returns the bytes of query, key, value and their result, before and after their norms. The attention weights,
    with a word each, are kept only with dropout on a CPU (model/attention.py).
    """
    model = of.model
    scores, hidden = of.sequences * model.heads * of.length**2, of.tokens * model.hidden
    projected = 4 * of.width * hidden
    if model.qk_norm:  # float32 queries and keys are copies; others are stored beside the values
        apart = of.half and _normed_width(of) == BYTES_OF_FLOAT
        projected += 2 * BYTES_OF_FLOAT * hidden if apart else 3 * of.width * hidden
        projected += 2 * _statistics(model) * of.tokens * model.heads
    if not of.cuda and model.attention_dropout:
        return projected + scores * (BYTES_OF_FLOAT + _WORD)
    return projected + BYTES_OF_FLOAT * model.heads * of.tokens + _bias_bytes(of)


def _bias_bytes(of: Forward) -> int:
    """Returns the bytes of the attention bias that autocast copies in each layer: one for every head, or one for
    all.
    """
    if not of.half or (of.model.positions != "alibi" and of.model.attention is None):
        return 0
    return 2 * (of.model.heads if of.model.positions == "alibi" else 1) * of.length**2
