"""AdamW for AdamW itself and for what stands beside Muon, without the seconds that torch's own takes to start."""

from __future__ import annotations

import inspect
from typing import Any

import torch


class EagerAdamW(torch.optim.AdamW):
    """torch's AdamW that never runs inside a compiled graph.

    torch marks these methods as not to be traced, and the first call of a marked one loads the whole compiler: a second
    or two of every start. Here they are as torch wrote them, without the mark.
    """

    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    state_dict = inspect.unwrap(torch.optim.AdamW.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.AdamW.load_state_dict)
    zero_grad = inspect.unwrap(torch.optim.AdamW.zero_grad)
    _unmarked_step = inspect.unwrap(torch.optim.AdamW.step)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One update of every parameter that has a gradient."""
        return self._unmarked_step(closure)
