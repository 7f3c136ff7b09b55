"""Embeddings and the stack of blocks, where gates decide which blocks, halves and rows of a forward pass are computed.

Shapes: B sequences, L positions, K predicted positions a sequence, H hidden width, N heads.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from pld_search.model.activation_checkpointing import run
from pld_search.model.block_calls import Call, calls
from pld_search.model.blocks import Block
from pld_search.model.dropout import dropout
from pld_search.model.norms import norm_of
from pld_search.model.surroundings import Surrounding, Surroundings
from pld_search.model.transformers_config import PldBertConfig
from pld_search.schedules.plan import AnyGates


class Embeddings(nn.Module):
    """Token + token type (+ learned position) embeddings, LayerNorm, dropout. The token matrix has padded rows at its
    end.
    """

    def __init__(self, config: PldBertConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.words = nn.Embedding(config.padded_vocab_size, width, padding_idx=config.pad_token_id)
        self.types = nn.Embedding(config.type_vocab_size, width) if config.type_vocab_size else None
        self.positions = nn.Embedding(config.max_position_embeddings, width) if config.positions == "learned" else None
        self.norm = norm_of(config)
        self.dropout = float(config.hidden_dropout_prob)

    def forward(self, input_ids_BL: Tensor, types_BL: Tensor | None) -> Tensor:
        """Embeds token ids (and token types, 0 if None) as (B, L, H). Raises ValueError for more positions than the
        table has rows.
        """
        added = self._added(input_ids_BL.shape[1], types_BL)
        words = self.words(input_ids_BL)
        return dropout(self.norm(words if added is None else words + added), self.dropout, self.training)

    def _added(self, length: int, types_BL: Tensor | None) -> Tensor | None:
        """Returns the sum of type and position embeddings; None if the model has neither."""
        added = None
        if self.types is not None:
            added = self.types.weight[0] if types_BL is None else self.types(types_BL)
        if self.positions is None:
            return added
        if length > self.positions.num_embeddings:
            raise ValueError(
                f"{length} positions, but the table of learned positions has {self.positions.num_embeddings} rows"
            )
        placed = self.positions.weight[:length]
        return placed if added is None else added + placed


class Encoder(nn.Module):
    """The blocks in order and, unless they are post-norm, one norm at the end (see `finish`)."""

    def __init__(self, config: PldBertConfig) -> None:
        super().__init__()
        self.surroundings = Surroundings(config)
        self.blocks = nn.ModuleList([Block(config, place) for place in config.places])
        self.norm = None if config.norm == "post" else norm_of(config)
        # the period of blocks that recompute their activations in the backward pass; 0: none
        self.recompute_every = 0

    def forward(self, x_BLH: Tensor, attention_mask_BL: Tensor | None, gates: AnyGates | None) -> Tensor:
        """Maps (B, L, H) to (B, L, H) before the last norm. A closed block or half is not called: it is the identity,
        its LayerNorms included. With gates of rows, a layer computes only its own rows; the other rows skip it.
        """
        around = self.surroundings.of_layers(len(self.blocks), x_BLH, attention_mask_BL)
        if gates is None:
            for block, place, again in zip(self.blocks, around, self._recomputed(), strict=True):
                x_BLH = run(block, again, x_BLH, place)
            return x_BLH
        of_layers = calls(gates, len(self.blocks))
        chosen = self._chosen_rows(of_layers, x_BLH)
        for block, place, of_layer, again in zip(self.blocks, around, of_layers, self._recomputed(), strict=True):
            for call in of_layer:
                x_BLH = self._run(block, call, x_BLH, place, next(chosen), again)
        return x_BLH

    def _recomputed(self) -> list[bool]:
        """Returns whether each block recomputes its activations; its place in the stack decides, not the plan."""
        every = self.recompute_every
        return [every > 0 and number % every == 0 for number in range(1, len(self.blocks) + 1)]

    def _run(
        self, block: nn.Module, call: Call, x_BLH: Tensor, place: Surrounding, rows: Tensor | None, again: bool
    ) -> Tensor:
        """Runs one call of a block: on the whole batch if `rows` is None, else on these rows, whose results return to
        their places.
        """
        scale = self._scale(call)
        if rows is None:
            return run(block, again, x_BLH, place, scale, call.where, call.part)
        mask = place.mask
        own_mask = mask is not None and mask.ndim == 4 and mask.shape[0] == x_BLH.shape[0]
        there = place._replace(mask=mask.index_select(0, rows) if mask is not None and own_mask else mask)
        return x_BLH.index_copy(
            0, rows, run(block, again, x_BLH.index_select(0, rows), there, scale, call.where, call.part)
        )

    @staticmethod
    def _chosen_rows(of_layers: list[list[Call]], x_BLH: Tensor) -> Iterator[Tensor | None]:
        """Returns the rows of every call in turn on the device, in one copy; None for all rows, so that an open gate
        changes no bit.
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
        """Applies the last norm of a pre-norm encoder to any (..., H). It works position by position, so a head may
        select positions first.
        """
        return x_H if self.norm is None else self.norm(x_H)

    @staticmethod
    def _scale(call: Call) -> Tensor | None:
        # It is a tensor, because a compiled block would be compiled again for every float. It stays on the CPU, where a
        # 0-d tensor works with any device without a copy, and 0-d tensors do not promote the activations' dtype.
        return None if call.where == "none" or call.scale == 1.0 else torch.tensor(call.scale, dtype=torch.float64)
