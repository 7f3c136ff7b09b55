"""AdamW that starts without torch's import of its compiler, which takes seconds; also used beside Muon."""

from __future__ import annotations

import inspect
from typing import Any

import torch


class EagerAdamW(torch.optim.AdamW):
    """torch's AdamW that never runs inside a compiled graph.

    torch marks these methods as not traceable, and the first call of a marked method loads the whole compiler, which
    adds one or two seconds to every start. Here the methods are torch's own without the mark.
    """

    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    state_dict = inspect.unwrap(torch.optim.AdamW.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.AdamW.load_state_dict)
    zero_grad = inspect.unwrap(torch.optim.AdamW.zero_grad)
    _unmarked_step = inspect.unwrap(torch.optim.AdamW.step)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Updates every parameter that has a gradient, once."""
        return self._unmarked_step(closure)
