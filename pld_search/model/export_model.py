"""Writes a model as a plain folder of transformers: BertForMaskedLM (post-norm), BertForPreTraining (post-norm, with
the head of next-sentence prediction), ElectraForPreTraining (post-norm, the discriminator) or
RobertaPreLayerNormForMaskedLM (pre-norm); with rotary positions ModernBertForMaskedLM (pre-norm) or
NomicBertForMaskedLM (post-norm).

A network that those classes cannot compute exactly is refused, never approximated. The written files are loaded again
and compared.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    BertConfig,
    ElectraConfig,
    PretrainedConfig,
    RobertaPreLayerNormConfig,
)
from transformers.utils import logging

from pld_search.errors import CheckpointError
from pld_search.model.electra import PldElectra
from pld_search.model.expressible import refuse_inexpressible
from pld_search.model.layered_model import LayeredModel
from pld_search.model.rotary_exports import to_modern, to_nomic
from pld_search.model.rotary_keys import to_rotary
from pld_search.model.transformers_config import SAME_FIELDS, PldBertConfig
from pld_search.model.transformers_keys import position_offset, to_electra, to_transformers

TOLERANCE = 1e-5  # of logits, relative to the largest one if it is above 1
_CLASSES = {"post": "BertForMaskedLM", "pre": "RobertaPreLayerNormForMaskedLM"}
_BOTH_HEADS, _ELECTRA = "BertForPreTraining", "ElectraForPreTraining"
_CONFIGS = {"post": BertConfig, "pre": RobertaPreLayerNormConfig}
_SCALED = ("attention.out", "feed_forward.down")
_NORMS = ("attention_norm", "feed_forward_norm")


@dataclass(frozen=True, slots=True)
class SpecialIds:
    """The tokenizer's ids in a configuration."""

    pad: int
    cls: int
    sep: int


@dataclass(frozen=True, slots=True)
class Carried:
    """Parts that are exported unchanged: the class as which the run's starting checkpoint was saved, its pooler and its
    next-sentence head.
    """

    architecture: str | None = None
    heads: Mapping[str, Tensor] = field(default_factory=dict)


def write_plain(model: LayeredModel, folder: Path, ids: SpecialIds, carried: Carried | None = None) -> str:
    """Writes `config.json` and `model.safetensors` into `folder` and returns the name of the class. Raises ConfigError
    for a network that cannot be expressed.

    The vocabulary's padding is cut; the position table gets the rows that RobertaPreLayerNorm never reads.
    """
    refuse_inexpressible(model.config)
    config, extra = copy.deepcopy(model.config), carried or Carried()
    config.pad_token_id = ids.pad
    state = _folded(model.state_dict(), config)
    config.full_depth = None
    if isinstance(model, PldElectra):
        plain = _plain_config(config, ids, ElectraConfig)
        return _write(folder, _ELECTRA, plain, to_electra(state, config))
    if config.positions == "rope":
        return _write_rotary(folder, _without_pair_heads(state), config, ids)
    heads: Mapping[str, Tensor] = extra.heads
    name = extra.architecture if extra.architecture == _BOTH_HEADS else _CLASSES[config.norm]
    if model.pretrained_pooler is not None:  # trained here, so the checkpoint's heads are not used
        heads, name = {}, _BOTH_HEADS if has_pair_heads(config) else _CLASSES["pre"]
        state = state if has_pair_heads(config) else _without_pair_heads(state)
    plain = _plain_config(config, ids, _CONFIGS[config.norm])
    return _write(folder, name, plain, to_transformers(state, config) | dict(heads))


def has_pair_heads(config: PldBertConfig) -> bool:
    """Whether the exported class of this network has places for a pooler and a next-sentence head."""
    return config.norm == "post" and config.positions != "rope"


def _write_rotary(folder: Path, state: Mapping[str, Tensor], config: PldBertConfig, ids: SpecialIds) -> str:
    """Writes the files of ModernBERT or NomicBert, which have no place for a pooler and a next-sentence head."""
    modern = config.norm == "pre"
    plain = to_modern(config, ids.pad, ids.cls, ids.sep) if modern else to_nomic(config, ids.pad)
    name = "ModernBertForMaskedLM" if modern else "NomicBertForMaskedLM"
    return _write(folder, name, plain, to_rotary(state, config))


def _write(folder: Path, name: str, plain: PretrainedConfig, state: Mapping[str, Tensor]) -> str:
    """Writes the two files of a transformers class and returns its name."""
    theirs = {key: tensor.detach().cpu().float().contiguous() for key, tensor in state.items()}
    plain.architectures = [name]
    plain.save_pretrained(folder)
    save_file(theirs, folder / "model.safetensors", metadata={"format": "pt"})
    # safetensors makes the file readable only by its owner
    (folder / "model.safetensors").chmod((folder / "config.json").stat().st_mode)
    return name


def _without_pair_heads(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Removes pooler and next-sentence head, for which classes with masked tokens only have no place."""
    return {name: tensor for name, tensor in state.items() if not name.startswith(("pooler.", "next_sentence."))}


def logits_difference(model: LayeredModel, folder: Path, pad: int) -> float:
    """Returns the largest difference between our logits and the folder's, on random tokens with padding. The folder is
    loaded as AutoModelForMaskedLM, or as AutoModelForPreTraining if it has both heads or is an Electra.

    Raises CheckpointError if the difference is above `TOLERANCE`.
    """
    pairs = model.pretrained_pooler is not None and has_pair_heads(model.config)
    own_heads = pairs or isinstance(model, PldElectra)
    theirs = _quietly_loaded(folder, AutoModelForPreTraining if own_heads else AutoModelForMaskedLM).eval()
    batch = _sample(model.config, pad)
    mine = copy.deepcopy(model).cpu().float().eval()
    with torch.inference_mode():
        ours, plain = mine(**batch), theirs(**batch)
    expected, found = ours.logits, plain.prediction_logits if pairs else plain.logits
    real = batch["attention_mask"].bool()
    difference = float((expected[real] - found[real]).abs().max())
    if pairs:
        difference = max(difference, float((ours.next_logits - plain.seq_relationship_logits).abs().max()))
    if found.shape != expected.shape or not difference <= TOLERANCE * max(1.0, float(expected[real].abs().max())):
        raise CheckpointError(
            f"{folder}: the exported model's logits differ by {difference:.2g} from those of the checkpoint"
        )
    return difference


def _quietly_loaded(folder: Path, loader: Any) -> Any:
    """Loads a transformers model without a progress bar and without the list of unused heads."""
    shown, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        return loader.from_pretrained(folder)
    finally:
        logging.set_verbosity(verbosity)
        if shown:
            logging.enable_progress_bar()


def _folded(state: Mapping[str, Tensor], config: PldBertConfig) -> dict[str, Tensor]:
    """Folds the scales of sublayers' residuals into the last matrix of each, x + s (W y + b) = x + (s W) y + s b, and
    the scales of norms by depth into the norms.
    """
    folded = dict(state)

    def fold(layer: int, parts: tuple[str, ...], scale: float) -> None:
        for name in (f"bert.encoder.blocks.{layer}.{part}.{kind}" for part in parts for kind in ("weight", "bias")):
            if name in folded:
                folded[name] = (folded[name].double() * scale).to(folded[name].dtype)

    for layer, scale in enumerate(config.residual_scale or ()):
        fold(layer, _SCALED, scale)
    for layer, place in enumerate(config.places if config.depth_scaled_norm else ()):
        fold(layer, _NORMS, place**-0.5)
    return folded


def _plain_config(config: PldBertConfig, ids: SpecialIds, kind: type[PretrainedConfig]) -> PretrainedConfig:
    """Returns their configuration. RobertaPreLayerNorm's position table starts with rows up to `pad_token_id`, and its
    configuration names first and last tokens.
    """
    more: dict[str, Any] = {} if config.norm == "post" else {"bos_token_id": ids.cls, "eos_token_id": ids.sep}
    rows = config.max_position_embeddings + position_offset(config.norm, ids.pad)
    if kind is ElectraConfig:
        more = {"embedding_size": config.hidden_size}
    return kind(
        **{name: getattr(config, name) for name in SAME_FIELDS},
        max_position_embeddings=rows,
        pad_token_id=ids.pad,
        dtype="float32",
        **more,
    )


def _sample(config: PldBertConfig, pad: int) -> dict[str, Tensor]:
    """Returns two rows of random tokens (none of them padding) and token types; the second row is padded on the
    right.
    """
    generator = torch.Generator().manual_seed(0)
    length = min(max(32, 2 * (config.local_attention or 0)), config.max_position_embeddings)
    ids = torch.randint(config.vocab_size - 1, (2, length), generator=generator)
    ids += ids >= pad
    mask = torch.ones_like(ids)
    mask[1, length // 2 :] = 0
    batch = {"input_ids": ids.where(mask.bool(), torch.tensor(pad)), "attention_mask": mask}
    if config.type_vocab_size == 0:
        return batch
    types = torch.randint(config.type_vocab_size, (2, length), generator=generator)
    return {**batch, "token_type_ids": types * mask}
