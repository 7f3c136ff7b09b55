"""Compares transformers' Trainer with and without `pld_search.hf.LayerDrop` on a text of your own: steps a second,
losses, and a resume.

    python benchmarks/trainer_wikitext.py wiki.train.tokens --steps 300 --out trainer-wikitext

Trains a small BERT three times on the same sequences: at full depth, with the schedule, and with the schedule stopped
in the middle and resumed in a fresh Trainer. The called blocks and the losses of the resumed run must equal the
uninterrupted run's. Beside wall-clock time it reports processor time, which other processes disturb less. Writes
OUT/results.json and OUT/losses.png and prints a summary. Needs `pld-search[hf]`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import BertWordPieceTokenizer
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import Dataset
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertForMaskedLM, Trainer, TrainerCallback, TrainingArguments, set_seed

import pld_search
from pld_search.costs.expected_depth import expect
from pld_search.hf import LayerDrop

MASK_RATE = 0.15
NEVER = {"base": "pld", "temporal": {"kind": "constant", "value": 0.0}, "depth": {"kind": "uniform"}, "rescale": "none"}


class Masked(Dataset[dict[str, Tensor]]):
    """Sequences of a text; the masks of sequence i are drawn from i, so that a resume sees the same masks."""

    def __init__(self, text: Path, vocabulary: int, length: int) -> None:
        tokenizer = BertWordPieceTokenizer(lowercase=True)
        tokenizer.train([str(text)], vocab_size=vocabulary, show_progress=False)
        lines = [line for line in text.read_text(encoding="utf-8").splitlines() if line.strip()]
        ids = [token for encoded in tokenizer.encode_batch(lines, add_special_tokens=False) for token in encoded.ids]
        self.ids = torch.tensor(ids[: len(ids) // length * length]).view(-1, length)
        self.mask, self.vocabulary = tokenizer.token_to_id("[MASK]"), tokenizer.get_vocab_size()

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        ids = self.ids[index]
        chosen = torch.rand(ids.shape, generator=torch.Generator().manual_seed(index)) < MASK_RATE
        return {"input_ids": ids.masked_fill(chosen, self.mask), "labels": ids.masked_fill(~chosen, -100)}


@dataclass
class Watch(TrainerCallback):  # type: ignore[misc]
    """Wall-clock and processor seconds of every step, and the blocks that every pass called."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    passes: list[list[int]] = field(default_factory=list)

    def watch(self, model: BertForMaskedLM) -> None:
        model.register_forward_pre_hook(lambda *_: self.passes.append([]))
        for index, block in enumerate(model.bert.encoder.layer):
            block.register_forward_pre_hook(lambda *_, index=index: self.passes[-1].append(index))

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.begun = time.perf_counter(), time.process_time()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.wall.append(time.perf_counter() - self.begun[0])
        self.processor.append(time.process_time() - self.begun[1])


@dataclass
class Done:
    """One run: losses by step, and the watched values."""

    losses: list[float]
    watch: Watch


def train(
    args: argparse.Namespace,
    data: Masked,
    name: str,
    callback: LayerDrop | None,
    resume: int | None = None,
    save: int | None = None,
) -> Done:
    set_seed(args.seed)
    model, watch = small_bert(args, data), Watch()
    model.accepts_loss_kwargs = False
    watch.watch(model)
    settings = TrainingArguments(
        str(args.out / name),
        max_steps=args.steps,
        per_device_train_batch_size=args.batch,
        learning_rate=args.lr,
        warmup_steps=args.steps // 10,
        logging_steps=1,
        seed=args.seed,
        save_strategy="steps" if save else "no",
        save_steps=save or args.steps,
        use_cpu=not torch.cuda.is_available(),
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    trainer = Trainer(
        model=model, args=settings, train_dataset=data, callbacks=[watch, *([callback] if callback else [])]
    )
    trainer.remove_callback(
        next(kind for kind in map(type, trainer.callback_handler.callbacks) if kind.__name__ == "PrinterCallback")
    )
    trainer.train(resume_from_checkpoint=str(args.out / name / f"checkpoint-{resume}") if resume else None)
    return Done([row["loss"] for row in trainer.state.log_history if "loss" in row], watch)


def small_bert(args: argparse.Namespace, data: Masked) -> BertForMaskedLM:
    shape = {
        "hidden_size": args.hidden,
        "num_hidden_layers": args.layers,
        "num_attention_heads": args.hidden // 32,
        "intermediate_size": 4 * args.hidden,
    }
    return BertForMaskedLM(BertConfig(vocab_size=data.vocabulary, max_position_embeddings=args.length, **shape))


def flops(args: argparse.Namespace, data: Masked) -> tuple[int, int]:
    """Returns the FLOPs of one step at full depth and without any block, forward and backward, counted by torch with
    the MATH kernel.
    """
    batch = {key: torch.stack([data[index][key] for index in range(args.batch)]) for key in ("input_ids", "labels")}
    counted = []
    for without_blocks in (False, True):
        model = small_bert(args, data).train()
        drop = pld_search.attach(model, NEVER if without_blocks else "full", steps=1)
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), drop.step(0):
            model(**batch).loss.backward()
        counted.append(int(counter.get_total_flops()))
    return counted[0], counted[1]


def speed(done: Done) -> tuple[float, float]:
    """Returns steps a second by wall clock and by processor: the inverse of the mean step after the first tenth (a
    schedule's steps differ).
    """
    settled = slice(len(done.watch.wall) // 10, None)
    return 1 / statistics.fmean(done.watch.wall[settled]), 1 / statistics.fmean(done.watch.processor[settled])


def results(args: argparse.Namespace, data: Masked) -> dict[str, Any]:
    full_flops, rest = flops(args, data)
    half = args.steps // 2
    full = train(args, data, "full", None)
    dropped = train(args, data, "dropped", LayerDrop(args.schedule, rescale="block"), save=half)
    resumed = train(args, data, "dropped", LayerDrop(args.schedule, rescale="block"), resume=half)
    schedule = pld_search.load_schedule(args.schedule, layers=args.layers, steps=args.steps, sets=["rescale=block"])
    block = (full_flops - rest) / args.layers
    kept = [len(blocks) for blocks in dropped.watch.passes]
    (wall, processor), (wall_dropped, processor_dropped) = speed(full), speed(dropped)
    return {
        "forecast": {
            "saved_flops": expect(schedule, args.steps, args.layers).saved_block_flops
            * (full_flops - rest)
            / full_flops,
            "block_share": (full_flops - rest) / full_flops,
        },
        "executed": {
            "saved_flops": 1 - sum(rest + block * count for count in kept) / (args.steps * full_flops),
            "layers_mean": statistics.fmean(kept),
        },
        "steps_per_second": {"full": wall, "dropped": wall_dropped, "relative": wall_dropped / wall},
        "steps_per_processor_second": {
            "full": processor,
            "dropped": processor_dropped,
            "relative": processor_dropped / processor,
        },
        "resume": {
            "blocks_equal": resumed.watch.passes == dropped.watch.passes[half:],
            "losses_equal": resumed.losses == dropped.losses,
            "largest_difference": max(
                abs(one - other) for one, other in zip(resumed.losses, dropped.losses, strict=True)
            ),
        },
        "losses": {"full": full.losses, "dropped": dropped.losses},
    }


def told(args: argparse.Namespace, found: dict[str, Any]) -> list[str]:
    forecast, executed, resume = found["forecast"], found["executed"], found["resume"]
    lines = [
        f"{args.layers} layers of {args.hidden}, {args.batch} sequences of {args.length}, {args.steps} steps",
        f"schedule {args.schedule}, {torch.get_num_threads()} thread(s)",
        f"FLOPs saved          forecast {100 * forecast['saved_flops']:.1f} %, executed "
        f"{100 * executed['saved_flops']:.1f} %",
        f"FLOPs of the blocks  {100 * forecast['block_share']:.1f} % of a step at full depth",
        f"speed by FLOPs       {1 / (1 - executed['saved_flops']):.3f} x full depth",
    ]
    for key, words in (("steps_per_second", "steps/s"), ("steps_per_processor_second", "steps/processor s")):
        row = found[key]
        lines.append(f"{words:<20} full {row['full']:.3f}, dropped {row['dropped']:.3f}: {row['relative']:.3f} x")
    lines.append(f"resume at the half   blocks equal: {resume['blocks_equal']}, losses equal: {resume['losses_equal']}")
    lines.append(f"{'loss, mean of tenth':<20} {'full':>8} {'dropped':>8}")
    tenth = max(args.steps // 10, 1)
    for start in range(0, args.steps, tenth):
        full, dropped = (statistics.fmean(found["losses"][name][start : start + tenth]) for name in ("full", "dropped"))
        lines.append(f"{f'{start} - {min(start + tenth, args.steps)}':<20} {full:8.4f} {dropped:8.4f}")
    return lines


def draw(found: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4))
    for name, losses in found["losses"].items():
        width = max(len(losses) // 50, 1)
        smooth = [statistics.fmean(losses[max(0, index - width) : index + 1]) for index in range(len(losses))]
        axes.plot(smooth, label=f"{name} (mean of {width} steps)")
    axes.set(xlabel="step", ylabel="training loss")
    axes.legend()
    figure.savefig(path, dpi=100, bbox_inches="tight")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path, help="a text file, WikiText-2's wiki.train.tokens for example")
    parser.add_argument("--out", type=Path, default=Path("trainer-wikitext"))
    parser.add_argument("--schedule", default="pld")
    for name, value in (
        ("steps", 300),
        ("layers", 6),
        ("hidden", 128),
        ("batch", 16),
        ("length", 64),
        ("vocabulary", 2048),
        ("seed", 0),
        ("threads", 1),
    ):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--lr", type=float, default=1e-3)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    found = results(args, Masked(args.text, args.vocabulary, args.length))
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "results.json").write_text(json.dumps(found, indent=1))
    draw(found, args.out / "losses.png")
    sys.stdout.write("\n".join(told(args, found)) + "\n")


if __name__ == "__main__":
    main()
