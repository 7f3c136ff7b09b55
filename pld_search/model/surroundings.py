"""What a layer is told beside its input: which positions see which, how positions rotate, and how deep it stands.

It follows from a layer's place in the network and from the length, and is the same at every step of a run, padding
apart.

Shapes: B sequences, L positions, H hidden width, N heads, D = H / N.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pld_search.model import alibi, rope
from pld_search.model.transformers_config import PldBertConfig


class Surrounding(NamedTuple):
    """`mask` broadcasts to (B, N, L, L): bool (True is seen) or a float bias; None: all see all. `turns`: see
    rope.py; None: no rotary positions. `norm_scale` (0-d) multiplies what norms before sublayers give; None: 1.
    """

    mask: Tensor | None = None
    turns: Tensor | None = None
    norm_scale: Tensor | None = None


class Surroundings:
    """Those of an encoder's layers; what only depends on the length is kept from one forward to the next."""

    def __init__(self, config: PldBertConfig) -> None:
        self._config = config
        self._kept: dict[str, Tensor] = {}
        self._kept_for: tuple[int, torch.device] | None = None

    def of_layers(self, layers: int, x_BLH: Tensor, attention_mask_BL: Tensor | None) -> list[Surrounding]:
        """One for each of `layers` layers; a mask (B, L) is non-zero where there is a token."""
        config = self._config
        places = config.layer_places or range(1, layers + 1)
        self._keep(x_BLH.shape[1], x_BLH.device)
        of_kind = {
            local: (self._mask(local, x_BLH, attention_mask_BL), self._kept.get(f"turns {local}"))
            for local in {config.is_local(place) for place in places}
        }
        return [Surrounding(*of_kind[config.is_local(place)], self._norm_scale(place)) for place in places]

    def _norm_scale(self, place: int) -> Tensor | None:
        # a 0-d tensor on the CPU, like the scale of a residual: a compiled block serves every place
        return torch.tensor(place**-0.5, dtype=torch.float64) if self._config.depth_scaled_norm else None

    def _mask(self, local: bool, x_BLH: Tensor, attention_mask_BL: Tensor | None) -> Tensor | None:
        """What attention needs, or None where every position sees every other without a bias."""
        seen = None if attention_mask_BL is None else attention_mask_BL.bool()[:, None, None, :]
        if local and seen is not None:  # a position without a token may see none: it sees itself
            seen = seen | self._kept["itself"]
        names = ("alibi", "near" if local else "all")
        added = [self._kept[name].to(x_BLH.dtype) for name in names if name in self._kept]
        if not added:
            return seen
        bias = added[0] if len(added) == 1 else added[0] + added[1]
        return bias if seen is None else bias.masked_fill(~seen, -torch.inf)

    def _keep(self, length: int, device: torch.device) -> None:
        """Make what depends on the length alone, unless it is there."""
        if self._kept_for == (length, device):
            return
        config, width = self._config, self._config.hidden_size // self._config.num_attention_heads
        with torch.inference_mode(False):  # what a validation has made must serve the training step after it
            self._kept = {}
            if config.positions == "alibi":
                self._kept["alibi"] = alibi.bias(config.num_attention_heads, length, device)
            if config.positions == "rope":
                for local, base in ((False, config.rope_base), (True, config.local_rope_base or config.rope_base)):
                    self._kept[f"turns {local}"] = rope.rotation(width, base, length, device)
            if config.local_attention is not None:
                self._kept["near"] = near(config.local_attention, length, device)
                # beside local layers the others have a bias, too, so that all of them are one compiled graph
                self._kept["all"] = torch.zeros_like(self._kept["near"])
                self._kept["itself"] = torch.eye(length, dtype=torch.bool, device=device)
        self._kept_for = (length, device)


def near(span: int, length: int, device: torch.device) -> Tensor:
    """0 where two positions are at most `span` / 2 apart, else -inf: float32 of shape (1, 1, L, L)."""
    place = torch.arange(length, device=device)
    far = (place[:, None] - place[None, :]).abs() > span // 2
    return torch.zeros(length, length, device=device).masked_fill_(far, -torch.inf)[None, None]
