"""fp32, bf16 and fp16 on CPU and CUDA: autocast for the forward, a loss scaler for fp16, one `step` for all of them.

`step` unscales, clips to the global norm, and updates. If the gradients are not finite, weights and moments stay
unchanged (in fp16 the scale is halved), and the step counts as a step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pld_search.errors import ConfigError, Problem
from pld_search.specs.experiment import Precision
from pld_search.training.optimizer import clip_gradients, guarded_step

INITIAL_SCALE = 2.0**16
GROWTH_INTERVAL = 2000
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def check(precision: Precision, device: torch.device) -> None:
    """Raises ConfigError if the device cannot compute in this precision."""
    if precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        name = torch.cuda.get_device_name(device)
        raise ConfigError(
            Problem(f"{name} has no bf16 arithmetic", ("precision",), allowed="fp32 | fp16", given="bf16")
        )


class Numerics:
    """The numerics of one run: the autocast of its forward passes and the loss scaling of its updates."""

    def __init__(self, precision: Precision, device: torch.device) -> None:
        check(precision, device)
        self._device = device
        self._dtype = _DTYPES.get(precision)
        fp16 = precision == "fp16"
        self._scaler = (
            torch.amp.GradScaler(device.type, init_scale=INITIAL_SCALE, growth_interval=GROWTH_INTERVAL)
            if fp16
            else None
        )
        self._one = torch.ones((), device=device)

    def autocast(self) -> torch.autocast:
        """Returns the context of a forward pass; it does nothing in fp32."""
        return torch.autocast(self._device.type, dtype=self._dtype or torch.bfloat16, enabled=self._dtype is not None)

    def backward(self, loss: Tensor) -> None:
        """Adds the gradients of `loss` (scaled in fp16) to the present gradients."""
        scaled: Tensor = loss if self._scaler is None else self._scaler.scale(loss)
        scaled.backward()  # type: ignore[no-untyped-call]

    def step(self, optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], clip: float) -> Tensor:
        """Clips to the global norm `clip` and updates. Returns the norm before clipping (0-d, on the device)."""
        if self._scaler is not None:
            self._scaler.unscale_(optimizer)
        norm = clip_gradients(parameters, clip)
        if self._scaler is None:
            guarded_step(optimizer, norm)
        else:
            self._scaler.step(optimizer)
            self._scaler.update()
        return norm

    def scale(self) -> Tensor | None:
        """Returns the loss scale as a 0-d tensor on the device, without waiting for it; None without scaling."""
        return None if self._scaler is None else self._scaler.scale(self._one)

    def state(self) -> dict[str, Any]:
        """Returns the loss scaler's part of a checkpoint; empty without scaling."""
        return {} if self._scaler is None else self._scaler.state_dict()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continues with the loss scale of a checkpoint; does nothing without scaling."""
        if self._scaler is not None:
            self._scaler.load_state_dict(dict(state))
