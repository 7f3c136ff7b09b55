"""The heads on the encoder: the masked-LM head and the pooler of a classifier, both as in BERT."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pld_search.model.norms import norm_of
from pld_search.model.token_loss import IGNORED, linear_token_loss
from pld_search.model.transformers_config import PldBertConfig


class MaskedLMHead(nn.Module):
    """A linear map, exact GELU (NomicBert: SiLU), a norm, a decoder and a bias for each token. The decoder is the
    embedding matrix itself (tied by being the same tensor), or a matrix of its own.
    """

    def __init__(self, config: PldBertConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.dense = nn.Linear(width, width, bias=config.norm_bias)
        self.activation = config.head_activation
        self.norm = norm_of(config)
        self.decoder = None if config.tie_word_embeddings else nn.Linear(width, config.padded_vocab_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, x_H: Tensor, embeddings_VH: Tensor) -> Tensor:
        """Maps (..., H) to logits (..., padded V). The logits of padded rows are -inf, so that softmax gives them no
        weight.
        """
        decoder_VH = self._decoder(embeddings_VH)
        return F.linear(self._transformed(x_H), decoder_VH, self._bias(decoder_VH))

    def loss(self, x_H: Tensor, embeddings_VH: Tensor, labels: Tensor) -> Tensor:
        """Returns `token_loss` of the logits without a copy of them: (..., H) and labels (...) -> 0-d, float32."""
        x_MH = self._transformed(x_H).reshape(-1, x_H.shape[-1])
        decoder_VH = self._decoder(embeddings_VH)
        return linear_token_loss(x_MH, decoder_VH, self._bias(decoder_VH), labels.reshape(-1))

    def _transformed(self, x_H: Tensor) -> Tensor:
        x_H = self.dense(x_H)
        transformed: Tensor = self.norm(F.gelu(x_H) if self.activation == "gelu" else F.silu(x_H))
        return transformed

    def _decoder(self, embeddings_VH: Tensor) -> Tensor:
        return embeddings_VH if self.decoder is None else self.decoder.weight

    def _bias(self, decoder_VH: Tensor) -> Tensor:
        padding = decoder_VH.shape[0] - self.bias.shape[0]
        return F.pad(self.bias, (0, padding), value=-torch.inf) if padding else self.bias


class Pooler(nn.Module):
    """tanh of a linear map of the first position, [CLS]."""

    def __init__(self, config: PldBertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x_BLH: Tensor) -> Tensor:
        """Maps (B, L, H) to (B, H)."""
        return torch.tanh(self.dense(x_BLH[:, 0]))


def token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns the cross entropy in float32 (also under autocast): the mean over labels != -100. Logits are (..., V),
    labels (...).
    """
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]).float(), labels.reshape(-1), ignore_index=IGNORED)


def label_loss(logits_BC: Tensor, labels_B: Tensor) -> Tensor:
    """Returns the loss of a task in float32: mean squared error for one output (a regression), else cross entropy over
    C classes.
    """
    if logits_BC.shape[-1] == 1:
        return F.mse_loss(logits_BC.squeeze(-1).float(), labels_B.float())
    return F.cross_entropy(logits_BC.float(), labels_B)
