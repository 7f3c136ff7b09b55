"""A torch module with its configuration, stored like transformers' own models: `config.json` beside
`model.safetensors`.

It is not a `PreTrainedModel`. Loading that class would take longer than loading torch itself, in every process that
trains: it imports torch's compiler, its sharding, quantizers and scipy's optimizers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from safetensors.torch import save_file
from torch import Tensor, nn

from pld_search.errors import CheckpointError
from pld_search.model.initial_values import initialise
from pld_search.model.pretrained import checkpoint_config, checkpoint_spec, checkpoint_state
from pld_search.model.transformers_config import PldBertConfig

HEADS = ("head.", "pooler.", "next_sentence.", "classifier.", "generator.", "detector.")
"""Prefixes of the names of parameters that a stored model may hold and another class has no place for."""
_ENCODER = "bert."


class StoredModel(nn.Module):
    """The base of all models: a configuration, and the two files to which they are saved."""

    def __init__(self, config: PldBertConfig) -> None:
        super().__init__()
        self.config = config

    def save_pretrained(self, folder: Path) -> None:
        """Writes both files into `folder`, which is created if missing, for `from_pretrained` and `load_bert`."""
        folder.mkdir(parents=True, exist_ok=True)
        write_model(folder, type(self), self.config, self.state_dict())

    @classmethod
    def from_pretrained(cls, folder: Path) -> Self:
        """Loads the model of a folder for evaluation. Heads that the folder lacks have initial values; others are left
        out.

        Raises ConfigError or CheckpointError if the folder holds no model, or one of another architecture.
        """
        config = checkpoint_config(folder)
        model, saved = cls(config), checkpoint_state(folder)
        initialise(model, checkpoint_spec(folder), 0)
        state = {_named(name, encoder=not hasattr(model, "bert")): tensor for name, tensor in saved.items()}
        own = model.state_dict()
        lost = [name for name in own if name not in state and (name.startswith(_ENCODER) or not hasattr(model, "bert"))]
        if lost:
            raise CheckpointError(f"{folder}: not the architecture of its configuration (missing {lost[:3]})")
        model.load_state_dict({name: tensor for name, tensor in state.items() if name in own}, strict=False)
        return model.eval()


def write_model(folder: Path, kind: type[nn.Module], config: PldBertConfig, weights: Mapping[str, Tensor]) -> None:
    """Writes the two files of a model of the class `kind` with these unsharded weights."""
    config.architectures = [kind.__name__]
    config.save_pretrained(folder)
    plain = {name: tensor.contiguous() for name, tensor in weights.items()}
    save_file(plain, folder / "model.safetensors", metadata={"format": "pt"})


def _named(name: str, *, encoder: bool) -> str:
    """Maps a stored name to a bare encoder, or to a model with an encoder; a bare encoder is stored without the
    prefix.
    """
    if encoder:
        return name.removeprefix(_ENCODER)
    return name if name.startswith((_ENCODER, *HEADS)) else _ENCODER + name
