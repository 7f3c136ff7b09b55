"""The inputs of a layer beside its hidden states: which positions see which, how positions rotate, and its depth.

They follow from a layer's place in the network and from the length. Except for padding they are the same at every step
of a run.

Shapes: B sequences, L positions, H hidden width, N heads, D = H / N.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pld_search.model import alibi, rope
from pld_search.model.transformers_config import PldBertConfig


class Surrounding(NamedTuple):
    """`mask` broadcasts to (B, N, L, L): bool (True is seen) or a float bias; None: all positions see all. `turns`: see
    rope.py; None: no rotary positions. `norm_scale` (0-d) multiplies the outputs of norms before sublayers; None: 1.
    """

    mask: Tensor | None = None
    turns: Tensor | None = None
    norm_scale: Tensor | None = None


class Surroundings:
    """The surroundings of an encoder's layers; parts that depend only on the length are kept between forward passes."""

    def __init__(self, config: PldBertConfig) -> None:
        self._config = config
        self._kept: dict[str, Tensor] = {}
        self._kept_for: tuple[int, torch.device] | None = None

    def of_layers(self, layers: int, x_BLH: Tensor, attention_mask_BL: Tensor | None) -> list[Surrounding]:
        """Returns one for each of `layers` layers; a mask (B, L) is non-zero for a token."""
        config = self._config
        places = config.layer_places or range(1, layers + 1)
        self._keep(x_BLH.shape[1], x_BLH.device)
        of_kind = {
            local: (self._mask(local, x_BLH, attention_mask_BL), self._kept.get(f"turns {local}"))
            for local in {config.is_local(place) for place in places}
        }
        return [Surrounding(*of_kind[config.is_local(place)], self._norm_scale(place)) for place in places]

    def _norm_scale(self, place: int) -> Tensor | None:
        # a 0-d tensor on the CPU, like the scale of a residual, so that one compiled block serves every place
        return torch.tensor(place**-0.5, dtype=torch.float64) if self._config.depth_scaled_norm else None

    def _mask(self, local: bool, x_BLH: Tensor, attention_mask_BL: Tensor | None) -> Tensor | None:
        """Returns the mask of attention, or None if every position sees every other without a bias."""
        seen = None if attention_mask_BL is None else attention_mask_BL.bool()[:, None, None, :]
        if local and seen is not None:  # a position without a token might see none, so it sees itself
            seen = seen | self._kept["itself"]
        names = ("alibi", "near" if local else "all")
        added = [self._kept[name].to(x_BLH.dtype) for name in names if name in self._kept]
        if not added:
            return seen
        bias = added[0] if len(added) == 1 else added[0] + added[1]
        return bias if seen is None else bias.masked_fill(~seen, -torch.inf)

    def _keep(self, length: int, device: torch.device) -> None:
        """Creates the parts that depend only on the length, unless they exist."""
        if self._kept_for == (length, device):
            return
        config, width = self._config, self._config.hidden_size // self._config.num_attention_heads
        with torch.inference_mode(False):  # tensors created in a validation must work in the next training step
            self._kept = {}
            if config.positions == "alibi":
                self._kept["alibi"] = alibi.bias(config.num_attention_heads, length, device)
            if config.positions == "rope":
                for local, base in ((False, config.rope_base), (True, config.local_rope_base or config.rope_base)):
                    self._kept[f"turns {local}"] = rope.rotation(width, base, length, device)
            if config.local_attention is not None:
                self._kept["near"] = near(config.local_attention, length, device)
                # beside local layers the other layers also have a bias, so that all share one compiled graph
                self._kept["all"] = torch.zeros_like(self._kept["near"])
                self._kept["itself"] = torch.eye(length, dtype=torch.bool, device=device)
        self._kept_for = (length, device)


def near(span: int, length: int, device: torch.device) -> Tensor:
    """Returns 0 where two positions are at most `span` / 2 apart, else -inf: float32 (1, 1, L, L)."""
    place = torch.arange(length, device=device)
    far = (place[:, None] - place[None, :]).abs() > span // 2
    return torch.zeros(length, length, device=device).masked_fill_(far, -torch.inf)[None, None]
