"""What sits on the encoder: the masked-LM head and the pooler of a classifier, both as in BERT."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pld_search.model.token_loss import IGNORED, linear_token_loss
from pld_search.model.transformers_config import PldBertConfig


class MaskedLMHead(nn.Module):
    """Linear, exact GELU, LayerNorm, then the embedding matrix itself as decoder (tied by being the same tensor) and a
    bias a token.
    """

    def __init__(self, config: PldBertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, x_H: Tensor, embeddings_VH: Tensor) -> Tensor:
        """(..., H) -> logits (..., padded V). The logits of padded rows are -inf, so that no softmax gives them any
        weight.
        """
        return F.linear(self._transformed(x_H), embeddings_VH, self._bias(embeddings_VH))

    def loss(self, x_H: Tensor, embeddings_VH: Tensor, labels: Tensor) -> Tensor:
        """`token_loss` of the logits, of which no copy is made: (..., H) and labels (...) -> 0-d, float32."""
        x_MH = self._transformed(x_H).reshape(-1, x_H.shape[-1])
        return linear_token_loss(x_MH, embeddings_VH, self._bias(embeddings_VH), labels.reshape(-1))

    def _transformed(self, x_H: Tensor) -> Tensor:
        transformed: Tensor = self.norm(F.gelu(self.dense(x_H)))
        return transformed

    def _bias(self, embeddings_VH: Tensor) -> Tensor:
        padding = embeddings_VH.shape[0] - self.bias.shape[0]
        return F.pad(self.bias, (0, padding), value=-torch.inf) if padding else self.bias


class Pooler(nn.Module):
    """tanh of a linear map of the first position, [CLS]."""

    def __init__(self, config: PldBertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x_BLH: Tensor) -> Tensor:
        """(B, L, H) -> (B, H)."""
        return torch.tanh(self.dense(x_BLH[:, 0]))


def token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy in float32 (also under autocast): the mean over labels != -100. Logits (..., V), labels (...)."""
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]).float(), labels.reshape(-1), ignore_index=IGNORED)


def label_loss(logits_BC: Tensor, labels_B: Tensor) -> Tensor:
    """The loss of a task, in float32: mean squared error for one output (a regression), else cross entropy over C
    classes.
    """
    if logits_BC.shape[-1] == 1:
        return F.mse_loss(logits_BC.squeeze(-1).float(), labels_B.float())
    return F.cross_entropy(logits_BC.float(), labels_B)
