"""The bytes that training takes, from the shapes alone: how large a micro-batch may be, and what recomputation saves.

The forecast is for a step at full depth of the deepest stack, the largest batch and the longest sequences, since a plan
may keep every layer. It counts the values that autograd keeps for the backward pass of an eager model (compiled blocks
keep no more), the working memory of the largest operation, weights, gradients and AdamW's moments. It does not count
the libraries (`LIBRARIES`), the device's context, and the allocator's fragmentation (`MARGIN`).

Shapes: n sequences of L positions in a forward pass, t = n L tokens, H hidden width, I inner width, N heads; s bytes of
a number in the precision of matrix products (4 in fp32, 2 in halves; the residual stream is float32 in both).
"""

from __future__ import annotations

from dataclasses import dataclass

from pld_search.costs.forward import BYTES_OF_FLOAT, Forward
from pld_search.costs.layer import block_bytes, block_parameters, inner_copies
from pld_search.costs.objectives import costs_of
from pld_search.costs.parameters import outer_parameters, parameters_of, saved_moments
from pld_search.specs.execution import ActivationCheckpointing, Execution
from pld_search.specs.experiment import Experiment, Model
from pld_search.specs.pretraining import Pretraining

MARGIN = {"cuda": 1.1, "cpu": 2.5}
"""The bytes that must be free for each byte of the forecast. The C library's allocator keeps much of the memory that a
step frees in pieces (benchmarks/memory.py): 1.2 times the forecast was resident where all blocks keep their
activations, 2.2 times where they are recomputed.
"""
LIBRARIES = {"cuda": 0, "cpu": 50_000_000}
"""The bytes that kernels and tables take at their first use, in a process that has imported everything."""
_MOMENTS = 2
_PIECE = 1 << 18  # attention scores that are processed at a time (model/attention.py)


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of one process (of one rank) at the peak of a step.

    state: weights and moments. gradients: the gradients that exist at the peak. activations: values for the backward
    pass; a recomputed block counts with its input only. working: the largest operation, or a block under recomputation.
    """

    state: int
    gradients: int
    activations: int
    working: int

    @property
    def total(self) -> int:
        """The bytes at the peak of a step: the sum of the four parts."""
        return self.state + self.gradients + self.activations + self.working

    def needed(self, device: str) -> int:
        """Returns the bytes that should be free on a `cpu` or `cuda` device."""
        return round(MARGIN[device] * self.total) + LIBRARIES[device]


def memory_of(experiment: Experiment, execution: Execution, micro_batch: int, ranks: int = 1) -> Memory:
    """Returns the peak of a run with `micro_batch` sequences in a forward pass, on each of `ranks` processes."""
    data, batch, model, learns = experiment.data, experiment.batch, experiment.model, experiment.pretraining
    forward = Forward(
        model,
        micro_batch,
        data.final_length,
        data.with_rate(max(data.masking.rates)).predictions(data.final_length),
        experiment.precision != "fp32",
        execution.device != "cpu",
    )
    again = recomputed_blocks(execution.activation_checkpointing, model.layers)
    held = (
        embedding_bytes(forward)
        + costs_of(learns).kept_bytes(forward)
        + (model.layers - again) * block_bytes(forward)
        + again * BYTES_OF_FLOAT * forward.tokens * model.hidden
    )
    working = max(
        costs_of(learns).head_bytes(forward), operation_bytes(forward) + (block_bytes(forward) if again else 0)
    )
    # autocast keeps half-precision copies of the weights through the forward pass
    casts = 2 * parameters_of(model, learns) if forward.half else 0
    own = BYTES_OF_FLOAT * _own_parameters(parameters_of(model, learns), execution, ranks)
    accumulates = batch.groups * ranks * micro_batch < batch.most
    grown = 0 if accumulates else min(own, held)  # a single backward pass frees activations as gradients appear
    state = (1 + _MOMENTS) * own - saved_moments(model, experiment.optimizer.kind)
    return Memory(state + _gathered(model, learns, execution, ranks), own - grown, held + casts, working)


def recomputed_blocks(setting: ActivationCheckpointing, layers: int) -> int:
    """Returns the number of recomputed blocks of a stack."""
    if isinstance(setting, str):
        return layers if setting == "blocks" else 0
    return layers // setting


def embedding_bytes(of: Forward) -> int:
    """Returns the bytes of the embedding norm's input, the embedding dropout's mask and the last block's output."""
    mask = (1 if of.cuda else BYTES_OF_FLOAT) if of.model.dropout else 0
    return (2 * BYTES_OF_FLOAT + mask) * of.tokens * of.model.hidden


def operation_bytes(of: Forward) -> int:
    """Returns the working bytes of the largest operation in a block's forward or backward, beyond the kept values: the
    attention scores or the inner layer.
    """
    inner = inner_copies(of.model) * of.width * of.tokens * of.model.intermediate
    if of.cuda or not of.model.attention_dropout:
        return inner
    pieces = 4 * BYTES_OF_FLOAT * min(of.sequences * of.model.heads * of.length**2, max(_PIECE, of.length**2))
    return max(inner, 4 * of.width * of.tokens * of.model.hidden + pieces)


def _own_parameters(all_parameters: int, execution: Execution, ranks: int) -> int:
    """Returns the number of parameters whose weights, gradients and moments one rank holds."""
    return -(-all_parameters // ranks) if execution.mode == "shard" else all_parameters


def _gathered(model: Model, learns: Pretraining | None, execution: Execution, ranks: int) -> int:
    """Returns the bytes that a rank holds beside its own part: with shards, the outer unit and two whole blocks; with
    replicas, one unit's gradients in transfer.
    """
    if ranks == 1 or execution.mode == "single":
        return 0
    units = outer_parameters(model, learns), block_parameters(model)
    return BYTES_OF_FLOAT * (units[0] + 2 * units[1] if execution.mode == "shard" else max(units))
