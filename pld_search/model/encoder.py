"""Embeddings and the stack of blocks, where gates decide which blocks, halves and rows of this forward are computed.

Shapes: B sequences, L positions, K predicted positions a sequence, H hidden width, N heads.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from pld_search.model import alibi
from pld_search.model.activation_checkpointing import run
from pld_search.model.block_calls import Call, calls
from pld_search.model.blocks import Block
from pld_search.model.dropout import dropout
from pld_search.model.transformers_config import PldBertConfig
from pld_search.schedules.plan import AnyGates


class Embeddings(nn.Module):
    """Token + token type (+ learned position) embeddings, LayerNorm, dropout. The matrix of tokens has padded rows at
    its end.
    """

    def __init__(self, config: PldBertConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.words = nn.Embedding(config.padded_vocab_size, width, padding_idx=config.pad_token_id)
        self.types = nn.Embedding(config.type_vocab_size, width)
        self.positions = nn.Embedding(config.max_position_embeddings, width) if config.positions == "learned" else None
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = float(config.hidden_dropout_prob)

    def forward(self, input_ids_BL: Tensor, types_BL: Tensor | None) -> Tensor:
        """Token ids (and token types, 0 where None) as (B, L, H). More positions than the table has rows:
        ValueError.
        """
        added = self.types.weight[0] if types_BL is None else self.types(types_BL)
        if self.positions is not None:
            length = input_ids_BL.shape[1]
            if length > self.positions.num_embeddings:
                raise ValueError(
                    f"{length} positions, but the table of learned positions has {self.positions.num_embeddings} rows"
                )
            added = added + self.positions.weight[:length]
        return dropout(self.norm(self.words(input_ids_BL) + added), self.dropout, self.training)


class Encoder(nn.Module):
    """The blocks in order, and for `norm: pre` one LayerNorm at the end (see `finish`)."""

    def __init__(self, config: PldBertConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.alibi = config.positions == "alibi"
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.num_hidden_layers)])
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps) if config.norm == "pre" else None
        # every so manieth block computes its activations again in the backward pass; 0: none does
        self.recompute_every = 0
        self._bias: Tensor | None = None  # the ALiBi bias of the last length: the same at every step of a run

    def forward(self, x_BLH: Tensor, attention_mask_BL: Tensor | None, gates: AnyGates | None) -> Tensor:
        """(B, L, H) -> (B, L, H) before the last norm. What is shut (a block, a half of one) is not called: the
        identity, its LayerNorms included. With gates of rows, what a layer computes is computed for its rows alone; the
        others pass it by.
        """
        mask = self._mask(x_BLH, attention_mask_BL)
        if gates is None:
            for block, again in zip(self.blocks, self._recomputed(), strict=True):
                x_BLH = run(block, again, x_BLH, mask)
            return x_BLH
        of_layers = calls(gates, len(self.blocks))
        chosen = self._chosen_rows(of_layers, x_BLH)
        for block, of_layer, again in zip(self.blocks, of_layers, self._recomputed(), strict=True):
            for call in of_layer:
                x_BLH = self._run(block, call, x_BLH, mask, next(chosen), again)
        return x_BLH

    def _recomputed(self) -> list[bool]:
        """Of every block, whether it computes its activations again; the place in the stack decides, not the plan."""
        every = self.recompute_every
        return [every > 0 and number % every == 0 for number in range(1, len(self.blocks) + 1)]

    def _run(
        self, block: nn.Module, call: Call, x_BLH: Tensor, mask: Tensor | None, rows: Tensor | None, again: bool
    ) -> Tensor:
        """One call of a block: on the whole batch where `rows` is None, else on those rows, which then take their
        places again.
        """
        scale = self._scale(call)
        if rows is None:
            return run(block, again, x_BLH, mask, scale, call.where, call.part)
        own_mask = mask is not None and mask.ndim == 4 and mask.shape[0] == x_BLH.shape[0]
        mask = mask.index_select(0, rows) if mask is not None and own_mask else mask
        return x_BLH.index_copy(
            0, rows, run(block, again, x_BLH.index_select(0, rows), mask, scale, call.where, call.part)
        )

    @staticmethod
    def _chosen_rows(of_layers: list[list[Call]], x_BLH: Tensor) -> Iterator[Tensor | None]:
        """The rows of every call in turn on the device, in one copy; None for all rows, so that an open gate changes no
        bit.
        """
        batch = x_BLH.shape[0]
        chosen = [
            () if call.rows is None or len(call.rows) == batch else call.rows
            for of_layer in of_layers
            for call in of_layer
        ]
        if not any(chosen):
            return iter([None] * len(chosen))
        together = torch.tensor([row for rows in chosen for row in rows]).to(x_BLH.device, non_blocking=True)
        return (rows if len(rows) else None for rows in torch.split(together, [len(rows) for rows in chosen]))

    def finish(self, x_H: Tensor) -> Tensor:
        """The last norm of a pre-norm encoder, on any (..., H): it works position by position, so a head may gather
        positions first.
        """
        return x_H if self.norm is None else self.norm(x_H)

    @staticmethod
    def _scale(call: Call) -> Tensor | None:
        # A tensor, not a float: a compiled block would be compiled again for every float. It stays on the CPU, where a
        # 0-d tensor serves any device without a copy, and 0-d tensors do not promote the activations' dtype.
        return None if call.where == "none" or call.scale == 1.0 else torch.tensor(call.scale, dtype=torch.float64)

    def _mask(self, x_BLH: Tensor, attention_mask_BL: Tensor | None) -> Tensor | None:
        """What attention needs, or None where every position sees every other without a bias."""
        seen = None if attention_mask_BL is None else attention_mask_BL.bool()[:, None, None, :]
        if not self.alibi:
            return seen
        bias = self._alibi_bias(x_BLH.shape[1], x_BLH.device).to(x_BLH.dtype)
        return bias if seen is None else bias.masked_fill(~seen, -torch.inf)

    def _alibi_bias(self, length: int, device: torch.device) -> Tensor:
        if self._bias is None or self._bias.shape[-1] != length or self._bias.device != device:
            with torch.inference_mode(False):  # a bias made by a validation must serve the training step after it
                self._bias = alibi.bias(self.heads, length, device)
        return self._bias
