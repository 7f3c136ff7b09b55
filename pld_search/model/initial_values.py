"""Initial values as a pure function of (seed, parameter name): models of different depth share the values of parameters
with the same name.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pld_search.schedules.hash_words import seed_word
from pld_search.specs.experiment import Model


@torch.no_grad()
def initialise(model: nn.Module, spec: Model, seed: int, name: str = "") -> None:
    """Sets every parameter: matrices N(0, init_std), embeddings N(0, embedding_std), biases 0, norms 1; padded rows of
    embeddings and decoder 0.

    Each tensor is drawn in float32 on the CPU by its own generator, keyed by (seed, name). So its values do not depend
    on the order of parameters, the device or other parameters. `name`: for a part of a model, its name in the whole
    model. There is no truncation, unlike in Google's BERT and as in transformers.
    """
    for prefix, module in model.named_modules(prefix=name):
        for full_name, parameter in module.named_parameters(prefix, recurse=False):
            parameter.copy_(_initial(module, full_name, parameter, spec, seed))


def _initial(module: nn.Module, name: str, parameter: Tensor, spec: Model, seed: int) -> Tensor:
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):
        return torch.ones(parameter.shape) if name.endswith("weight") else torch.zeros(parameter.shape)
    if parameter.ndim < 2:
        return torch.zeros(parameter.shape)
    generator = torch.Generator().manual_seed(seed_word(seed, f"init:{name}"))
    std = spec.embedding_std if isinstance(module, nn.Embedding) else spec.init_std
    values = torch.empty(parameter.shape).normal_(std=std, generator=generator)
    if name.endswith(("embeddings.words.weight", "head.decoder.weight")):
        values[spec.vocabulary :] = 0.0
    return values
