"""One pass of a batch through the stack under the gates of a step."""

from __future__ import annotations

import weakref
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from pld_search.errors import AttachError
from pld_search.model.attach.block_gate import Gate, check_shape, named_arguments
from pld_search.model.attach.block_outputs import Returned, annotated_form, form_of, hidden_of, run_aside
from pld_search.model.attach.outputs_beside import Beside
from pld_search.model.block_calls import Call, calls
from pld_search.schedules.gates import AnyGates, Gates, RowGates
from pld_search.schedules.micro_batch_gates import of_micro_batch


@dataclass(frozen=True, slots=True)
class Share:
    """The gates that a pass follows: the gates of a group and, for gates of rows, the place of the batch in it in whole
    strata.
    """

    gates: AnyGates
    first: int = 0
    sequences: int | None = None
    strata: int | None = None

    def of_batch(self, size: int) -> AnyGates:
        """Returns the gates of the group's sequences first .. first + size - 1. Raises AttachError if they are not
        whole strata of it.
        """
        if not isinstance(self.gates, RowGates):
            return self.gates
        strata, sequences = self.strata or 1, self.sequences or size
        if size % strata or self.first % strata or self.first + size > sequences:
            raise AttachError(
                f"a batch of {size} sequences from sequence {self.first} of its group does not fit: a group "
                f"has {sequences} sequences in strata of {strata}; "
                "say where the batch begins with step(..., first=N), a multiple of the strata, and leave out "
                "smaller last batches"
            )
        return of_micro_batch(self.gates, self.first, size)


@dataclass
class Forms:
    """The forms of each class of block that have been seen, kept over passes."""

    known: dict[type, Returned] = field(default_factory=dict)
    beside: dict[type, Beside] = field(default_factory=lambda: defaultdict(Beside))

    def of(self, block: nn.Module) -> Returned | None:
        """Returns the form of a block's output, as seen or as annotated; None if it is unknown."""
        if type(block) not in self.known:
            annotated = annotated_form(block)
            if annotated is None:
                return None
            self.known[type(block)] = annotated
        return self.known[type(block)]


class Walk:
    """One pass. `inputs[l]` is a weak reference to the input of block l + 1, which keeps no tensor alive."""

    def __init__(self, blocks: list[nn.Module], share: Share, forms: Forms) -> None:
        self.inputs: dict[int, weakref.ref[Tensor]] = {}
        self._blocks, self._share, self._forms = blocks, share, forms
        self._calls: list[list[Call]] | None = None

    def gates(self) -> list[Gate]:
        """Returns one gate for each block, in the order of the stack."""
        return [Gate(block, index, self) for index, block in enumerate(self._blocks)]

    @property
    def is_open(self) -> bool:
        """Whether every block runs for every sequence, unscaled, so that the model is unchanged."""
        gates = self._share.gates
        return (
            isinstance(gates, Gates)
            and all(gates.keep)
            and (gates.where == "none" or all(scale == 1.0 for scale in gates.scale))
        )

    def call(self, index: int, x: Tensor) -> Call | None:
        """Returns the call of block `index` (from 0) for x; None if the block is skipped."""
        self.inputs[index] = weakref.ref(x)
        if self._calls is None:
            self._calls = calls(self._share.of_batch(len(x)), len(self._blocks))
        of_layer = self._calls[index]
        return of_layer[0] if of_layer else None

    def passed_by(self, block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], x: Tensor) -> Any:
        """Returns x in the form of the block's output. An unknown form is learnt from one run of the block, once for
        each class.
        """
        form = self._forms.of(block)
        if form is None or not self._forms.beside[type(block)].knows(form):
            output = run_aside(block, args, kwargs, x)
            form = self.seen(block, output, args, kwargs, x)
            check_shape(block, hidden_of(output), x)
        return form.alone(x, block, self.beside(block, form, args, kwargs))

    def seen(self, block: nn.Module, output: Any, args: tuple[Any, ...], kwargs: dict[str, Any], x: Tensor) -> Returned:
        """Returns the form of a block's output for x. Raises AttachError if an earlier form was different."""
        form = form_of(output, block)
        known = self._forms.known.get(type(block))
        if known is not None and (known.kind, known.names) != (form.kind, form.names):
            raise AttachError(
                f"{type(block).__name__} returned a {form.kind.__name__} of {1 + len(form.names)}, and "
                "before, or by its annotation, another form"
            )
        beside = self._forms.beside[type(block)]
        if form.filled and not beside.knows(form):
            beside.learn(output, form, named_arguments(block, args, kwargs), x)
        return self._forms.known.setdefault(type(block), form)

    def beside(self, block: nn.Module, form: Returned, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[Any, Any]:
        """Returns a skipped block's values beside hidden states. Raises AttachError if they cannot be replaced."""
        if not form.filled:
            return {}
        return self._forms.beside[type(block)].of_skipped(form, named_arguments(block, args, kwargs), block)
