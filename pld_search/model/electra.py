"""ELECTRA (Clark et al., ICLR 2020): a small generator proposes tokens, and the encoder detects replaced tokens.

The encoder `bert` is the discriminator: a schedule drops its layers, fine-tuning and exports are of it. The generator
shares all embeddings with it, as Google's code does (github.com/google-research/electra, `untied_generator`), and runs
whole unless it has gates of its own.

Shapes: B sequences, L positions, K masked positions a sequence, H hidden width, W the generator's, V vocabulary.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pld_search.model.bert import PldBertModel, gather
from pld_search.model.encoder import Encoder
from pld_search.model.heads import MaskedLMHead, token_loss
from pld_search.model.layered_model import LayeredModel
from pld_search.model.token_loss import IGNORED
from pld_search.model.transformers_config import PldBertConfig
from pld_search.schedules.plan import AnyGates

_WORD_BITS = 24  # the bits of a hash word, so that its share of 1 is exact in float32 and below 1


class ElectraOutput(NamedTuple):
    """Both losses separately. `logits` (B, L) of the discriminator are positive for a token that looks replaced,
    `replaced` (B, L) tells which tokens are replaced, and `generated` (B, K, V) are the generator's logits.
    """

    mlm_loss: Tensor | None = None
    rtd_loss: Tensor | None = None
    logits: Tensor | None = None
    replaced: Tensor | None = None
    generated: Tensor | None = None


class GeneratorEncoder(nn.Module):
    """Embeddings mapped to the generator's width, its layers, and a head back to the width of the embeddings."""

    def __init__(self, config: PldBertConfig) -> None:
        super().__init__()
        own, sizes = copy.deepcopy(config), ("hidden_size", "layers", "heads", "intermediate_size")
        hidden, layers, heads, inner = (int(getattr(config, f"generator_{name}")) for name in sizes)
        own.hidden_size, own.num_hidden_layers, own.num_attention_heads, own.intermediate_size = (
            hidden,
            layers,
            heads,
            inner,
        )
        own.layer_places = None
        self.project = nn.Linear(config.hidden_size, own.hidden_size) if own.hidden_size != config.hidden_size else None
        self.encoder = Encoder(own)
        self.head = MaskedLMHead(config)
        self.head.dense = nn.Linear(own.hidden_size, config.hidden_size, bias=config.norm_bias)

    def forward(
        self,
        embedded_BLH: Tensor,
        mask: Tensor | None,
        positions: Tensor,
        embeddings_VH: Tensor,
        gates: AnyGates | None = None,
    ) -> Tensor:
        """Returns logits (B, K, padded V) at `positions` (B, K). `gates` are for the generator's own layers."""
        x_BLW = self.encoder(embedded_BLH if self.project is None else self.project(embedded_BLH), mask, gates)
        logits: Tensor = self.head(self.encoder.finish(gather(x_BLW, positions)), embeddings_VH)
        return logits


class ReplacedTokenHead(nn.Module):
    """A linear map, exact GELU, and one number for each position."""

    def __init__(self, config: PldBertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.out = nn.Linear(config.hidden_size, 1)

    def forward(self, x_BLH: Tensor) -> Tensor:
        """Maps (B, L, H) to (B, L)."""
        logits: Tensor = self.out(F.gelu(self.dense(x_BLH))).squeeze(-1)
        return logits


class PldElectra(LayeredModel):
    """Generator and discriminator. Without `labels` only the discriminator runs, on the given ids."""

    def __init__(self, config: PldBertConfig) -> None:
        super().__init__(config)
        self.bert = PldBertModel(config)
        self.generator = GeneratorEncoder(config)
        self.detector = ReplacedTokenHead(config)

    @property
    def second_blocks(self) -> nn.ModuleList:
        """The generator's layers."""
        return self.generator.encoder.blocks

    @property
    def plain_class(self) -> type[PldElectra]:
        """This class."""
        return PldElectra

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        positions: Tensor | None = None,
        labels: Tensor | None = None,
        words: Tensor | None = None,
        gates: AnyGates | None = None,
        generator_gates: AnyGates | None = None,
    ) -> ElectraOutput:
        """Returns losses and logits. `positions` (B, K) are masked; `labels` (B, K) are their tokens (IGNORED without a
        target); `words` (B, K) are hash words in 0 .. 2^32 - 1 that sample the generator's distribution. The losses are
        means over labels and over all B x L positions. No gradient flows from the discriminator into the generator.
        """
        if labels is None or positions is None or words is None:
            logits = self._detected(input_ids, attention_mask, token_type_ids, gates)
            return ElectraOutput(logits=logits)
        embedded = self.bert.embeddings(input_ids, token_type_ids)
        generated = self.generator(embedded, attention_mask, positions, self.token_embeddings, generator_gates)
        original, shown = replacement(input_ids, positions, labels, sampled(generated.detach(), words))
        replaced = shown != original
        logits = self._detected(shown, attention_mask, token_type_ids, gates)
        return ElectraOutput(
            mlm_loss=token_loss(generated, labels),
            rtd_loss=F.binary_cross_entropy_with_logits(logits.float(), replaced.float()),
            logits=logits,
            replaced=replaced,
            generated=generated[..., : self.config.vocab_size],
        )

    def _detected(self, ids: Tensor, mask: Tensor | None, types: Tensor | None, gates: AnyGates | None) -> Tensor:
        detected: Tensor = self.detector(self.bert.hidden_states(ids, mask, types, gates=gates))
        return detected


def sampled(logits_BKV: Tensor, words_BK: Tensor) -> Tensor:
    """Draws one token for each position (B, K) from the softmax of its logits, by its word: the inverse of the
    cumulative distribution, in float32.
    """
    cumulative = logits_BKV.float().softmax(-1).cumsum(-1)
    share = (words_BK >> (32 - _WORD_BITS)).float() / 2**_WORD_BITS * cumulative[..., -1]
    token = torch.searchsorted(cumulative, share[..., None], right=True).squeeze(-1)
    last = torch.isfinite(logits_BKV).sum(-1) - 1  # rows beyond the vocabulary are -inf
    return torch.minimum(token, last)


def replacement(ids_BL: Tensor, positions: Tensor, labels: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the ids without masks (B, L), and the ids with `tokens` (B, K) at the masked positions."""
    there, real = ids_BL.gather(1, positions), labels != IGNORED
    original = ids_BL.scatter(1, positions, torch.where(real, labels, there))
    return original, ids_BL.scatter(1, positions, torch.where(real, tokens, there))
