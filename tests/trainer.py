"""A tiny BERT, sequences to train it on, and a Trainer around both: for the tests of `pld_search.hf` and of its two
ranks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import BertConfig, BertForMaskedLM, Trainer, TrainingArguments

from pld_search.hf import LayerDrop
from tests.model.helpers import randomise

LAYERS, STEPS, BATCH, LENGTH, VOCABULARY = 4, 8, 8, 10, 61
SCHEDULE: dict[str, Any] = {
    "temporal": {"kind": "linear", "start": 1.0, "end": 0.4},
    "depth": {"kind": "linear", "index": "l/L"},
    "draw": {"kind": "bernoulli", "per": "group", "unit": "layer"},
    "rescale": "block",
    "skipped": "freeze",
}


class Sequences(Dataset[dict[str, Tensor]]):
    """Random ids, each its own label: every micro-batch has as many labels as another, so means of means are means."""

    def __len__(self) -> int:
        return STEPS * BATCH

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        ids = torch.randint(4, VOCABULARY, (LENGTH,), generator=torch.Generator().manual_seed(index))
        return {"input_ids": ids, "labels": ids}


def tiny_bert(hidden: int = 32) -> BertForMaskedLM:
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=hidden, num_hidden_layers=LAYERS, num_attention_heads=4, intermediate_size=48
    )
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    model = BertForMaskedLM(config)
    randomise(model)
    model.accepts_loss_kwargs = False
    return model


def settings(out: Path | str, **changes: Any) -> TrainingArguments:
    values: dict[str, Any] = {
        "output_dir": str(out),
        "max_steps": STEPS,
        "per_device_train_batch_size": BATCH,
        "learning_rate": 1e-3,
        "logging_steps": 1,
        "save_strategy": "no",
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "seed": 3,
    }
    return TrainingArguments(**{**values, **changes})


def trainer(
    out: Path | str, callback: LayerDrop | None = None, model: nn.Module | None = None, **changes: Any
) -> Trainer:
    """A Trainer on `Sequences`, which are also its validation data."""
    own, data = tiny_bert() if model is None else model, Sequences()
    return Trainer(
        model=own,
        args=settings(out, **changes),
        train_dataset=data,
        eval_dataset=data,
        callbacks=[callback] if callback else [],
    )


def losses(done: Trainer) -> list[float]:
    return [row["loss"] for row in done.state.log_history if "loss" in row]
