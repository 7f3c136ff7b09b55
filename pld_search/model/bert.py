"""The models: encoder, masked language model, classifier; stored in transformers' two files (see stored_model.py).

Shapes: B sequences, L positions, K predicted positions a sequence, H hidden width, V vocabulary, C labels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pld_search.model.encoder import Embeddings, Encoder
from pld_search.model.heads import MaskedLMHead, Pooler, label_loss, token_loss
from pld_search.model.layered_model import LayeredModel
from pld_search.model.stored_model import StoredModel
from pld_search.model.transformers_config import PldBertConfig
from pld_search.schedules.plan import AnyGates

__all__ = [
    "PldBertConfig",
    "PldBertForMaskedLM",
    "PldBertForPreTraining",
    "PldBertForSequenceClassification",
    "PldBertModel",
]


class EncoderOutput(NamedTuple):
    """The output of the encoder without a head."""

    last_hidden_state: Tensor


class LossAndLogits(NamedTuple):
    """The loss if there were labels, the logits if they were requested; names as in transformers' outputs."""

    loss: Tensor | None = None
    logits: Tensor | None = None


class PldBertModel(StoredModel):
    """Embeddings and encoder. The output is normed for every kind of norm."""

    def __init__(self, config: PldBertConfig) -> None:
        super().__init__(config)
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)

    def hidden_states(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        positions: Tensor | None = None,
        gates: AnyGates | None = None,
    ) -> Tensor:
        """Returns (B, L, H), or (B, K, H) at the given positions, as a plain tensor. Without gates every layer runs
        (see `full_depth` of the configuration).
        """
        x_BLH = self.encoder(
            self.embeddings(input_ids, token_type_ids),
            attention_mask,
            self.config.full_depth if gates is None else gates,
        )
        finished: Tensor = self.encoder.finish(x_BLH if positions is None else gather(x_BLH, positions))
        return finished

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        gates: AnyGates | None = None,
    ) -> EncoderOutput:
        """Returns `last_hidden_state` (B, L, H) for token ids (B, L). A mask (B, L) is non-zero for a token; types
        default to 0.
        """
        return EncoderOutput(
            last_hidden_state=self.hidden_states(input_ids, attention_mask, token_type_ids, gates=gates)
        )


class PldBertForMaskedLM(LayeredModel):
    """The encoder with the masked-LM head, computed at the given positions only."""

    def __init__(self, config: PldBertConfig) -> None:
        super().__init__(config)
        self.bert = PldBertModel(config)
        self.head = MaskedLMHead(config)

    @property
    def plain_class(self) -> type[PldBertForMaskedLM]:
        """This class."""
        return PldBertForMaskedLM

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        positions: Tensor | None = None,
        labels: Tensor | None = None,
        gates: AnyGates | None = None,
        return_logits: bool = True,
    ) -> LossAndLogits:
        """Returns logits at `positions` (B, K) as (B, K, V), or at all positions as (B, L, V); `labels` have the
        logits' first two dimensions.

        The loss is the mean over labels != -100. With `gates`, closed blocks, halves and rows are not computed, and the
        gradients of parameters that no row used stay unchanged (None after zero_grad). A loss without logits
        (`return_logits=False`, for training) holds one buffer of the logits' size, not three.
        """
        x = self.bert.hidden_states(input_ids, attention_mask, token_type_ids, positions, gates)
        if labels is not None and not return_logits:
            return LossAndLogits(loss=self.head.loss(x, self.bert.embeddings.words.weight, labels))
        logits = self.head(x, self.bert.embeddings.words.weight)
        loss = None if labels is None else token_loss(logits, labels)
        return LossAndLogits(loss=loss, logits=logits[..., : self.config.vocab_size])


class TwoLossesOutput(NamedTuple):
    """Both losses separately, since each is a mean over its own targets; `loss` is their sum."""

    loss: Tensor | None = None
    mlm_loss: Tensor | None = None
    next_loss: Tensor | None = None
    logits: Tensor | None = None
    next_logits: Tensor | None = None


class PldBertForPreTraining(LayeredModel):
    """The encoder with both heads of BERT: masked tokens and, through the pooler, whether B follows A."""

    def __init__(self, config: PldBertConfig) -> None:
        super().__init__(config)
        self.bert = PldBertModel(config)
        self.head = MaskedLMHead(config)
        self.pooler = Pooler(config)
        self.next_sentence = nn.Linear(config.hidden_size, 2)

    @property
    def plain_class(self) -> type[PldBertForPreTraining]:
        """This class."""
        return PldBertForPreTraining

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        positions: Tensor | None = None,
        labels: Tensor | None = None,
        next_labels: Tensor | None = None,
        gates: AnyGates | None = None,
        return_logits: bool = True,
    ) -> TwoLossesOutput:
        """Returns the output of `PldBertForMaskedLM`, and logits (B, 2) of the next sentence; `next_labels` (B,) are 1
        if B is from another document, as in transformers.
        """
        with_first = None if positions is None else F.pad(positions, (1, 0))  # [CLS] is position 0
        x_BKH = self.bert.hidden_states(input_ids, attention_mask, token_type_ids, with_first, gates)
        next_logits = self.next_sentence(self.pooler(x_BKH))
        next_loss = None if next_labels is None else label_loss(next_logits, next_labels)
        x = x_BKH if positions is None else x_BKH[:, 1:]
        logits, mlm_loss = None, None
        if labels is not None and not return_logits:
            mlm_loss = self.head.loss(x, self.token_embeddings, labels)
        else:
            logits = self.head(x, self.token_embeddings)
            mlm_loss = None if labels is None else token_loss(logits, labels)
            logits = logits[..., : self.config.vocab_size]
        loss = None if mlm_loss is None or next_loss is None else mlm_loss + next_loss
        return TwoLossesOutput(loss, mlm_loss, next_loss, logits, next_logits)


class PldBertForSequenceClassification(StoredModel):
    """The encoder with a pooler and one linear map: classes of a text or of a pair (by token types), or one number
    (`num_labels` = 1).
    """

    def __init__(self, config: PldBertConfig) -> None:
        super().__init__(config)
        self.bert = PldBertModel(config)
        self.pooler = Pooler(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        dropout = config.hidden_dropout_prob if config.classifier_dropout is None else config.classifier_dropout
        self.dropout = float(dropout)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        gates: AnyGates | None = None,
    ) -> LossAndLogits:
        """Returns logits (B, C); labels (B,) are class numbers, or floats for a regression. Fine-tuning runs at full
        depth, so gates stay None.
        """
        pooled = self.pooler(self.bert.hidden_states(input_ids, attention_mask, token_type_ids, gates=gates))
        logits = self.classifier(F.dropout(pooled, self.dropout, self.training))
        return LossAndLogits(loss=None if labels is None else label_loss(logits, labels), logits=logits)


def gather(x_BLH: Tensor, positions_BK: Tensor) -> Tensor:
    """Returns the hidden states at `positions`: (B, K, H). It uses one flat index_select, whose backward is far cheaper
    than the backward of advanced indexing.
    """
    batch, length, hidden = x_BLH.shape
    first = torch.arange(0, batch * length, length, device=x_BLH.device)
    rows = (positions_BK + first[:, None]).reshape(-1)
    return x_BLH.reshape(batch * length, hidden).index_select(0, rows).view(batch, positions_BK.shape[1], hidden)
