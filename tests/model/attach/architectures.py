"""The eight architectures of transformers, tiny, with every parameter random, and a batch for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from tests.model.helpers import randomise

LAYERS, BATCH, LENGTH, VOCABULARY = 4, 6, 10, 61
SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": VOCABULARY,
}
STILL: dict[str, Any] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


@dataclass(frozen=True)
class Architecture:
    name: str
    path: str
    model: Callable[[], nn.Module]

    def build(self, **config: Any) -> nn.Module:
        """In training mode, dropout 0, every parameter random."""
        model = self.model(**config).train()
        randomise(model)
        return model

    def batch(self, padding: bool = True) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(3)
        if self.name == "ViT":
            return {
                "pixel_values": torch.randn(BATCH, 3, 8, 8, generator=generator),
                "labels": torch.randint(0, 3, (BATCH,), generator=generator),
            }
        ids = torch.randint(4, VOCABULARY, (BATCH, LENGTH), generator=generator)
        mask = torch.ones_like(ids)
        if padding:
            mask[1::2, LENGTH - 3 :] = 0
        return {"input_ids": ids, "attention_mask": mask, "labels": ids}


def _of(model: str, config: str, **fixed: Any) -> Callable[..., nn.Module]:
    def build(**changes: Any) -> nn.Module:
        made: nn.Module = getattr(transformers, model)(getattr(transformers, config)(**{**fixed, **changes}))
        return made

    return build


TEXT = {**SHAPE, **STILL, "max_position_embeddings": 32}
MODERN = {
    **SHAPE,
    "max_position_embeddings": 32,
    "local_attention": 4,
    "global_attn_every_n_layers": 2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "cls_token_id": 1,
    "sep_token_id": 2,
}
DEBERTA = {
    **TEXT,
    "relative_attention": True,
    "position_buckets": 8,
    "pos_att_type": ["p2c", "c2p"],
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
    "type_vocab_size": 0,
}
VIT = {
    **{key: value for key, value in SHAPE.items() if key != "vocab_size"},
    **STILL,
    "image_size": 8,
    "patch_size": 4,
    "num_labels": 3,
}
GPT2 = {
    "vocab_size": VOCABULARY,
    "n_positions": 32,
    "n_embd": 32,
    "n_layer": LAYERS,
    "n_head": 4,
    "resid_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "attn_pdrop": 0.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}

ARCHITECTURES = {
    each.name: each
    for each in (
        Architecture("BERT", "bert.encoder.layer", _of("BertForMaskedLM", "BertConfig", **TEXT)),
        Architecture("RoBERTa", "roberta.encoder.layer", _of("RobertaForMaskedLM", "RobertaConfig", **TEXT)),
        Architecture(
            "RoBERTa-PreLayerNorm",
            "roberta_prelayernorm.encoder.layer",
            _of("RobertaPreLayerNormForMaskedLM", "RobertaPreLayerNormConfig", **TEXT),
        ),
        Architecture("ModernBERT", "model.layers", _of("ModernBertForMaskedLM", "ModernBertConfig", **MODERN)),
        Architecture("DeBERTa-v2", "deberta.encoder.layer", _of("DebertaV2ForMaskedLM", "DebertaV2Config", **DEBERTA)),
        Architecture(
            "ELECTRA", "electra.encoder.layer", _of("ElectraForMaskedLM", "ElectraConfig", **TEXT, embedding_size=32)
        ),
        Architecture("ViT", "vit.layers", _of("ViTForImageClassification", "ViTConfig", **VIT)),
        Architecture("GPT-2", "transformer.h", _of("GPT2LMHeadModel", "GPT2Config", **GPT2)),
    )
}
