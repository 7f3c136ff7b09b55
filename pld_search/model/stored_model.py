"""A torch module with its configuration, stored as transformers stores its own models: `config.json` beside
`model.safetensors`.

It is no `PreTrainedModel`: loading that class takes transformers longer than torch itself takes to load (with it come
torch's compiler, its shards, quantizers and scipy's optimizers), in every process that trains.
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
"""How the names begin of what a stored model may hold and another class has no place for."""
_ENCODER = "bert."


class StoredModel(nn.Module):
    """What all models share: a configuration, and the two files they are written to and read from."""

    def __init__(self, config: PldBertConfig) -> None:
        super().__init__()
        self.config = config

    def save_pretrained(self, folder: Path) -> None:
        """Write both files into `folder`, made where it is missing, for `from_pretrained` and `load_bert`."""
        folder.mkdir(parents=True, exist_ok=True)
        write_model(folder, type(self), self.config, self.state_dict())

    @classmethod
    def from_pretrained(cls, folder: Path) -> Self:
        """The model of a folder, ready to be evaluated; heads that the folder lacks are initial, others are left out.

        Raises ConfigError or CheckpointError where the folder holds no model, or one of another architecture.
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
    """The two files of a model of the class `kind` with these weights, all of them whole."""
    config.architectures = [kind.__name__]
    config.save_pretrained(folder)
    plain = {name: tensor.contiguous() for name, tensor in weights.items()}
    save_file(plain, folder / "model.safetensors", metadata={"format": "pt"})


def _named(name: str, *, encoder: bool) -> str:
    """A stored name in an encoder alone, or in a model that holds one; alone it is stored without the prefix."""
    if encoder:
        return name.removeprefix(_ENCODER)
    return name if name.startswith((_ENCODER, *HEADS)) else _ENCODER + name
