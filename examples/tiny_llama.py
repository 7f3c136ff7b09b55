"""A tiny Llama on WikiText-2 with transformers' Trainer, at full depth and under `pld`, and what each loses when layers
are left out afterwards.

    python examples/tiny_llama.py                                      # WikiText-2 from the hub, 82 s on two cores
    python examples/tiny_llama.py --text wiki.train.tokens --steps 60  # a text of yours

Both models see the same sequences in the same order, and both train for `--steps`, so that `pld` has spent fewer FLOPs.
At the end the table shows the loss on held-out text with all layers, and with 1, 2, ... layers left out evenly. Needs
`accelerate`, as Trainer itself does.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import BertWordPieceTokenizer
from torch import Tensor, nn
from torch.utils.data import Dataset, Subset
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments, set_seed

from pld_search.hf import LayerDrop

LENGTH, VOCABULARY, LAYERS = 64, 2048, 6
HELD_OUT = 64
"""Sequences at the end of the text that nobody trains on."""


class Sequences(Dataset[dict[str, Tensor]]):
    """A text as sequences of LENGTH tokens, predicted from left to right."""

    def __init__(self, lines: Sequence[str]) -> None:
        tokenizer = BertWordPieceTokenizer(lowercase=True)
        tokenizer.train_from_iterator(lines, vocab_size=VOCABULARY, show_progress=False)
        encoded = tokenizer.encode_batch(list(lines), add_special_tokens=False)
        ids = [token for line in encoded for token in line.ids]
        self.ids = torch.tensor(ids[: len(ids) // LENGTH * LENGTH]).view(-1, LENGTH)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"input_ids": self.ids[index], "labels": self.ids[index]}


def lines_of(text: Path | None) -> list[str]:
    """The lines of a file, or of WikiText-2's training split."""
    if text is not None:
        lines = text.read_text(encoding="utf-8").splitlines()
    else:
        from datasets import load_dataset  # only without a file

        lines = load_dataset("Salesforce/wikitext", "wikitext-2-raw-v1", split="train")["text"]
    return [line for line in lines if line.strip()]


def trained(schedule: str | None, data: Sequences, steps: int, out: Path) -> LlamaForCausalLM:
    """A model after its steps, under a schedule or at full depth."""
    set_seed(0)
    config = LlamaConfig(
        hidden_size=96,
        intermediate_size=256,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=VOCABULARY,
        max_position_embeddings=LENGTH,
        use_cache=False,
    )
    model = LlamaForCausalLM(config)
    settings = TrainingArguments(
        str(out / (schedule or "full")),
        max_steps=steps,
        per_device_train_batch_size=16,
        learning_rate=3e-3,
        warmup_steps=steps // 10,
        logging_steps=max(1, steps // 10),
        save_strategy="no",
        report_to="none",
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    callbacks = [] if schedule is None else [LayerDrop(schedule, rescale="block")]
    train = Subset(data, range(len(data) - HELD_OUT))
    Trainer(model=model, args=settings, train_dataset=train, callbacks=callbacks).train()
    return model


@torch.no_grad()
def loss_with(model: LlamaForCausalLM, kept: int, data: Sequences) -> float:
    """The loss on the held-out sequences, in nats, with `kept` layers that lie evenly in the stack."""
    layers = model.model.layers
    chosen = [round(index * (len(layers) - 1) / max(1, kept - 1)) for index in range(kept)]
    model.model.layers = nn.ModuleList(layers[index] for index in chosen)
    ids = data.ids[-HELD_OUT:].to(model.device)
    loss = float(model.eval()(input_ids=ids, labels=ids).loss)
    model.model.layers = layers
    return loss


def main() -> None:
    """Train both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, help="a text file; WikiText-2 from the hub where there is none")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--schedule", default="pld")
    parser.add_argument("--out", type=Path, default=Path("tiny-llama"))
    given = parser.parse_args()
    data = Sequences(lines_of(given.text))
    models = {name or "full": trained(name, data, given.steps, given.out) for name in (None, given.schedule)}
    print(f"{'layers kept':>11}" + "".join(f"{name:>10}" for name in models))
    for kept in range(LAYERS, 0, -1):
        print(f"{kept:>11}" + "".join(f"{loss_with(model, kept, data):>10.3f}" for model in models.values()))


if __name__ == "__main__":
    main()
