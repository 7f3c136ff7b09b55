"""Models that people attach beside the eight of the table: decoders, an image encoder, torch's own encoder, an encoder
with a decoder. Tiny, dropout 0, every parameter random.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from tests.model.helpers import randomise

LAYERS, BATCH, LENGTH, VOCABULARY = 4, 3, 8, 61
SHAPE = {"hidden_size": 32, "num_hidden_layers": LAYERS, "num_attention_heads": 4, "intermediate_size": 48}
TEXT = {**SHAPE, "vocab_size": VOCABULARY, "max_position_embeddings": 32, "pad_token_id": 0}
GROUPED = {**TEXT, "num_key_value_heads": 2, "head_dim": 8, "use_cache": False, "bos_token_id": 1, "eos_token_id": 2}


@dataclass(frozen=True)
class Attached:
    """`paths`: where the stacks are; `named`: whether they have to be named."""

    name: str
    paths: tuple[str, ...]
    model: Callable[[], nn.Module]
    inputs: str = "text"
    named: bool = False

    def build(self) -> nn.Module:
        model = self.model().train()
        randomise(model)
        return model

    def batch(self) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(3)
        if self.inputs == "image":
            pixels = torch.randn(BATCH, 3, 8, 8, generator=generator)
            return {"pixel_values": pixels, "labels": torch.randint(0, 3, (BATCH,), generator=generator)}
        if self.inputs == "vectors":
            return {"src": torch.randn(BATCH, LENGTH, 32, generator=generator)}
        ids = torch.randint(4, VOCABULARY, (BATCH, LENGTH), generator=generator)
        return {"input_ids": ids, "labels": ids}


class TorchEncoder(nn.Module):
    """`nn.TransformerEncoder` with a loss."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 4, 48, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)

    def forward(self, src: Tensor) -> Any:
        logits = self.encoder(src)
        return SimpleNamespace(logits=logits, loss=logits.square().mean())


def _of(model: str, config: str, **given: Any) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        made: nn.Module = getattr(transformers, model)(getattr(transformers, config)(**given))
        return made

    return build


T5 = {
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 48,
    "num_layers": LAYERS,
    "num_decoder_layers": LAYERS,
    "num_heads": 4,
    "vocab_size": VOCABULARY,
    "dropout_rate": 0.0,
    "pad_token_id": 0,
    "decoder_start_token_id": 0,
    "use_cache": False,
}
BART = {
    "d_model": 32,
    "encoder_layers": LAYERS,
    "decoder_layers": LAYERS,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 32,
    "dropout": 0.0,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
    "forced_eos_token_id": 2,
    "use_cache": False,
}
OPT = {
    "hidden_size": 32,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "ffn_dim": 48,
    "word_embed_proj_dim": 32,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 32,
    "dropout": 0.0,
    "use_cache": False,
    "pad_token_id": 0,
}
BLOOM = {
    "hidden_size": 32,
    "n_layer": LAYERS,
    "n_head": 4,
    "vocab_size": VOCABULARY,
    "hidden_dropout": 0.0,
    "attention_dropout": 0.0,
    "use_cache": False,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
DINO = {
    "hidden_size": 32,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "mlp_ratio": 2,
    "image_size": 8,
    "patch_size": 4,
    "num_labels": 3,
}

MORE = {
    each.name: each
    for each in (
        Attached("Llama", ("model.layers",), _of("LlamaForCausalLM", "LlamaConfig", **GROUPED)),
        Attached("Qwen3", ("model.layers",), _of("Qwen3ForCausalLM", "Qwen3Config", **GROUPED)),
        Attached("Mistral", ("model.layers",), _of("MistralForCausalLM", "MistralConfig", **GROUPED)),
        Attached("Gemma", ("model.layers",), _of("GemmaForCausalLM", "GemmaConfig", **GROUPED)),
        Attached("OPT", ("model.decoder.layers",), _of("OPTForCausalLM", "OPTConfig", **OPT)),
        Attached("Bloom", ("transformer.h",), _of("BloomForCausalLM", "BloomConfig", **BLOOM)),
        Attached(
            "DINOv2",
            ("dinov2.encoder.layer",),
            _of("Dinov2ForImageClassification", "Dinov2Config", **DINO),
            inputs="image",
        ),
        Attached("nn.TransformerEncoder", ("encoder.layers",), TorchEncoder, inputs="vectors"),
        Attached(
            "BART",
            ("model.encoder.layers", "model.decoder.layers"),
            _of("BartForConditionalGeneration", "BartConfig", **BART),
            named=True,
        ),
        Attached(
            "T5",
            ("encoder.block", "decoder.block"),
            _of("T5ForConditionalGeneration", "T5Config", **T5),
            named=True,
        ),
    )
}
