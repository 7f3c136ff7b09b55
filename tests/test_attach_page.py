"""The code of docs/attach.md runs as it stands, on a tiny model."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCKS = dict(
    re.findall(
        r"^## ([^\n]+)\n(?:(?!^## ).)*?```python\n(.*?)```",
        "## Plain loop\n" + (ROOT / "docs" / "attach.md").read_text(),
        flags=re.DOTALL | re.MULTILINE,
    )
)
GIVEN = """
import itertools

import torch
from torch.utils.data import DataLoader

from tests.trainer import LAYERS, Sequences, tiny_bert

dataset = torch.utils.data.ConcatDataset([Sequences()] * 3)
loader = DataLoader(dataset, batch_size=8)
batches = itertools.islice(itertools.cycle(loader), 12)
model = tiny_bert().train()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
calls = []
for block in model.bert.encoder.layer:
    block.register_forward_hook(lambda *_: calls.append(1))
"""
MODULE = """
import pytorch_lightning

class Module(pytorch_lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.model = model
    def training_step(self, batch):
        return self.model(**batch).loss
    def configure_optimizers(self):
        return optimizer

module = Module()
"""


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    (folder / "schedule.yaml").write_text("base: pld\nrescale: block\n")
    (folder / "script.py").write_text(code)
    monkeypatch.chdir(folder)
    runpy.run_path("script.py")


def test_the_page_has_what_is_run() -> None:
    assert list(BLOCKS) == [
        "Plain loop",
        "transformers' Trainer",
        "Accelerate",
        "Lightning",
        "DDP and FSDP2 in a plain loop",
    ]


def test_the_plain_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(
        tmp_path,
        monkeypatch,
        GIVEN
        + BLOCKS["Plain loop"]
        + "\nassert step == 11 and len(calls) == 12 * LAYERS  # the first steps of 200,000\n",
    )


# torch's advice for a machine without a GPU
@pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning")
def test_trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(
        tmp_path,
        monkeypatch,
        GIVEN
        + BLOCKS["transformers' Trainer"]
        + "\nassert trainer.state.global_step == 20 and len(calls) < 40 * LAYERS\n",
    )


def test_accelerate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, monkeypatch, GIVEN + BLOCKS["Accelerate"] + "\nassert step == 12 and len(calls) < 24 * LAYERS\n")


def test_lightning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pytorch_lightning", reason="Lightning is no dependency; its recipe runs where it is installed")
    run(
        tmp_path,
        monkeypatch,
        GIVEN + MODULE + BLOCKS["Lightning"] + "\nassert trainer.global_step == 10 and len(calls) < 20 * LAYERS\n",
    )
