"""Hidden states and attentions that a model records during a pass: refused inside a step if the record would be wrong.

transformers records them with hooks on the blocks. A skipped block runs no hook, and the hook of a scaled block sees
its output before scaling. Models that collect them from the blocks' outputs (DeBERTa) record correctly and are
accepted.
"""

from __future__ import annotations

from typing import Any

from pld_search.errors import AttachError
from pld_search.model.attach.stack_pass import Walk

_WAY_OUT = "ask for it outside `step`, or with all blocks running (p = 1)"


def check_recorded(output: Any, walk: Walk, layers: int) -> None:
    """Raises AttachError if `output.hidden_states` are not the inputs of the blocks, or if `output.attentions` are not
    complete.
    """
    if walk.is_open:
        return
    hidden = getattr(output, "hidden_states", None)
    if isinstance(hidden, tuple | list) and not _are_inputs(hidden, walk, layers):
        raise AttachError(
            "output_hidden_states inside `step`: this model records them from hooks of its blocks, which "
            f"skipped and scaled blocks do not fill; {_WAY_OUT}"
        )
    attentions = getattr(output, "attentions", None)
    if isinstance(attentions, tuple | list) and len(attentions) not in (0, layers):
        raise AttachError(
            "output_attentions inside `step`: skipped blocks have none, and the outputs of the other "
            f"blocks could not be assigned to their blocks; {_WAY_OUT}"
        )


def _are_inputs(hidden: tuple[Any, ...] | list[Any], walk: Walk, layers: int) -> bool:
    if len(hidden) < layers:
        return False
    given = [walk.inputs[index]() if index in walk.inputs else None for index in range(layers)]
    return all(state is None or state is x for state, x in zip(hidden, given, strict=False))
