"""Reads a pre-trained encoder for `model: {from: FOLDER_OR_HUB_ID}`: its architecture, its weights, and their content
digest.

It reads checkpoints of this project and of transformers' BERT (post-norm: BertForMaskedLM, BertForPreTraining,
BertModel), Electra (post-norm: the discriminator, with embeddings as wide as its layers), RobertaPreLayerNorm
(pre-norm), ModernBERT and NomicBert. A checkpoint that our encoder cannot reproduce exactly is refused, never
approximated.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import Tensor

from pld_search.errors import CheckpointError, ConfigError, Problem
from pld_search.frozen import canonical_json
from pld_search.host.disk import expanded
from pld_search.model.rotary_configs import MODERN, NOMIC, from_modern, from_nomic
from pld_search.model.rotary_keys import from_rotary
from pld_search.model.transformers_config import MODEL_TYPE, SAME_FIELDS, PldBertConfig, spec_of
from pld_search.model.transformers_keys import DECODER, carried, from_electra, from_transformers, position_offset
from pld_search.specs.experiment import Model

_NORM = {"bert": "post", "electra": "post", "roberta-prelayernorm": "pre"}
_EXACT = {  # field of the configuration -> the value that our encoder computes; an absent field counts as this value
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}
_ROTARY = {MODERN: from_modern, NOMIC: from_nomic}
_CONFIG = "config.json"
_FILES = (
    _CONFIG,
    "model.safetensors",
    "model-*.safetensors",
    "pytorch_model.bin",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)
_PATH = ("model", "from")


def find(source: str, revision: str | None = None, *, weights: bool = True) -> Path:
    """Returns the folder of a checkpoint: `source` if it is a folder, else a download of the hub's `org/name` (offline:
    from the cache). Raises ConfigError if there is none.

    Without `weights` only the configuration is downloaded.
    """
    folder = expanded(source)
    if folder.is_dir():
        return folder
    if source.startswith((".", "/", "~")) or source.count("/") != 1:
        raise ConfigError(
            Problem("no such folder", path=_PATH, allowed="a folder, or ORG/NAME of the hub", given=source)
        )
    from huggingface_hub import snapshot_download  # imported here, because only a hub id needs it
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source, revision=revision, allow_patterns=list(_FILES) if weights else [_CONFIG]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ConfigError(
            Problem(f"the hub has no such model, or cannot be reached ({error})", path=_PATH, given=source)
        ) from error


def checkpoint_config(folder: Path) -> PldBertConfig:
    """Returns the architecture of a checkpoint as our configuration. Raises ConfigError if our encoder cannot reproduce
    it exactly.
    """
    written = _written_config(folder)
    if written.get("model_type") == MODEL_TYPE:
        return PldBertConfig.from_dict(written)
    if written.get("model_type") in _ROTARY:
        return _ROTARY[written["model_type"]](written, _PATH)
    problems = _unsupported(written)
    if problems:
        raise ConfigError(problems)
    norm = _NORM[written["model_type"]]
    pad = written.get("pad_token_id", 0 if norm == "post" else 1)
    rows = written.get("max_position_embeddings", 512)
    return PldBertConfig(
        **{name: written[name] for name in SAME_FIELDS if name in written},
        norm=norm,
        positions="learned",
        max_position_embeddings=rows - position_offset(norm, pad),
        embedding_range=written.get("initializer_range", 0.02),
        pad_token_id=pad,
    )


def checkpoint_spec(folder: Path) -> Model:
    """Returns the architecture and the digest of a checkpoint as the `model` block of an Experiment."""
    return checkpoint_architecture(folder).model_copy(update={"checkpoint": checkpoint_digest(folder)})


def checkpoint_architecture(folder: Path) -> Model:
    """Returns the architecture from config.json; the spec names no checkpoint yet."""
    config = checkpoint_config(folder)
    try:
        return spec_of(config, None)
    except ValidationError as error:
        raise ConfigError(Problem(f"config.json of the checkpoint: {error}", path=_PATH, given=str(folder))) from error


def checkpoint_state(folder: Path) -> dict[str, Tensor]:
    """Returns the weights of a checkpoint under the names of `PldBertForMaskedLM`, with the heads that it has."""
    config = checkpoint_config(folder)
    state = _tensors(folder)
    if _written_config(folder)["model_type"] == MODEL_TYPE:
        return state
    if _written_config(folder)["model_type"] in _ROTARY:
        return from_rotary(state, config)
    if _written_config(folder)["model_type"] == "electra":
        return from_electra(state, config)
    ours = from_transformers(state, config)
    for name, tensor in state.items():
        if (
            DECODER.match(name)
            and name.endswith("weight")
            and not torch.equal(tensor, ours["bert.embeddings.words.weight"][: config.vocab_size])
        ):
            raise CheckpointError(f"{folder}: {name} differs from the token embeddings; only tied decoders can be read")
    return ours


def described(folder: Path) -> str:
    """Returns a checkpoint as one line for people: its class, its size, and parts that it lacks and are initialised."""
    config, written = checkpoint_config(folder), _written_config(folder)
    kind = (written.get("architectures") or [written.get("model_type")])[0]
    text = (
        f"{kind}, {config.norm}-norm, {config.num_hidden_layers} layers of {config.hidden_size}, "
        f"{config.vocab_size:,} tokens"
    )
    headless = not any(name.startswith("head.") for name in checkpoint_state(folder))
    return text + ("; it has no masked-LM head, which is initialised by the run's seed" if headless else "")


def carried_heads(folder: Path) -> tuple[str | None, dict[str, Tensor]]:
    """Returns the class as which a checkpoint of transformers was saved, and its pooler and next-sentence head, which
    this project does not train; nothing for this project's checkpoints.
    """
    written = _written_config(folder)
    if written.get("model_type") not in _NORM:
        return None, {}
    return (written.get("architectures") or [None])[0], carried(_tensors(folder), _NORM[written["model_type"]])


def checkpoint_digest(folder: Path) -> str:
    """Returns `sha256:...` over everything that the checkpoint computes: architecture and every tensor (our name,
    dtype, shape, bytes), independent of its file format.
    """
    config = checkpoint_config(folder)
    computed = ["norm", "positions", "num_attention_heads", "layer_norm_eps"]
    computed += [] if config.residual_scale is None else ["residual_scale", "residual_scale_of"]
    what = {**{name: getattr(config, name) for name in computed}, **config.options}
    digest = hashlib.sha256(canonical_json(what).encode())
    for name, tensor in sorted(checkpoint_state(folder).items()):
        digest.update(canonical_json([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return "sha256:" + digest.hexdigest()


def _written_config(folder: Path) -> dict[str, Any]:
    try:
        written = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            Problem(f"cannot read config.json of the checkpoint ({error})", path=_PATH, given=str(folder))
        ) from error
    if not isinstance(written, dict):
        raise ConfigError(Problem("config.json of the checkpoint is not a mapping", path=_PATH, given=str(folder)))
    return written


def _unsupported(written: dict[str, Any]) -> list[Problem]:
    kind = written.get("model_type")
    if kind not in _NORM:
        allowed = " | ".join([*_NORM, *_ROTARY, MODEL_TYPE])
        return [Problem("model_type of the checkpoint's config.json", path=_PATH, allowed=allowed, given=repr(kind))]
    exactly = dict(_EXACT)
    if kind == "electra":  # a smaller embedding has a linear map after it
        exactly["embedding_size"] = written.get("hidden_size", 256)
    return [
        Problem(f"{name} of the checkpoint's config.json", path=_PATH, allowed=repr(exact), given=repr(written[name]))
        for name, exact in exactly.items()
        if written.get(name, exact) != exact
    ]


def _tensors(folder: Path) -> dict[str, Tensor]:
    """Returns every tensor of the checkpoint's files, under the names in the files."""
    files = sorted([*folder.glob("model.safetensors"), *folder.glob("model-*.safetensors")])
    old = folder / "pytorch_model.bin"
    try:
        if files:
            return {name: tensor for file in files for name, tensor in load_file(file).items()}
        if old.is_file():
            loaded: dict[str, Tensor] = torch.load(old, map_location="cpu", weights_only=True)
            return loaded
    except Exception as error:  # each reader has its own exceptions for a malformed file
        raise CheckpointError(f"{folder}: cannot read the weights ({error})") from error
    raise ConfigError(
        Problem("the checkpoint has neither model.safetensors nor pytorch_model.bin", path=_PATH, given=str(folder))
    )
