"""Writes the study files of stages B1, B2 and C: `python -m evidence.designs b1 | b2 | c`. Stage A's file is written by
hand.

B2 needs the packed records of B1, because its rows use the best rates of B1.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from evidence.factorial import BLOCKS, Cell, layout
from evidence.places import DESIGNS, RECORDS
from evidence.reading import Run, runs_of
from pld_search.statistics.rate_optimum import Optimum, best_rate

LAYERS = (3, 4, 6)
SCHEDULES = ("full", "falling", "constant", "rising")
RATES = (2e-3, 1e-3, 4e-3)
"""The likely best rate comes first, so that every row has it when a stage ends early."""
SAVING = "24 % of blocks"
FIRST_SEED = {"b1": 0, "b2": 100, "c": 200}

TEMPORAL = {
    "falling": "{{kind: linear, start: 1.0, end: {{saving: {0}}}}}",
    "constant": "{{kind: constant, value: {{saving: {0}}}}}",
    "rising": "{{kind: linear, start: {{saving: {0}}}, end: 1.0}}",
}

HEAD = """\
# {about}.
# The question, the tests and what would change our mind stand in ../DESIGN.md, which was committed before the first run.
# Written by `python -m evidence.designs {verb}`. Every row spends the FLOPs that the reference spends in {steps:,} steps.
name: {name}
about: {about}

experiment:
  model: {{layers: 6, hidden: 40, heads: 4, norm: pre, positions: alibi,
          dropout: 0, attention_dropout: 0, embedding_std: 0.1}}
  data:
    train: demo
    validation: 10 %
    test: 10 %
    tokenizer: {{train: wordpiece, vocabulary: 200}}
    length: 32
    masking: {{rate: 15 %}}
  batch: {{sequences: 16}}
  optimizer: {{lr: 2e-3, shape: linear, warmup: 10 %, weight_decay: 0.01, clip: 1.0}}
  precision: fp32
  validation: {{every: 25 %, sequences: 4096}}
  schedule: full
  seed: {seed}

budget: {{steps: {steps}, equal: flops}}

systems:
"""


def b1() -> str:
    """Returns the study of B1: layers x schedule x three rates, one seed."""
    head = HEAD.format(
        about="Depth against layer dropping at equal FLOPs, three rates a row",
        verb="b1",
        name="evidence-b1",
        seed=0,
        steps=10800,
    )
    rows = [
        f"  {row_of(layers, kind)}-{word(lr)}:{changes(layers, kind, lr)}"
        for lr in RATES
        for layers in LAYERS
        for kind in SCHEDULES
    ]
    return f"{head}{''.join(rows)}reference: {row_of(6, 'full')}-{word(RATES[0])}\nseeds: 1\n"


def b2(runs: Iterable[Run]) -> str:
    """Returns the study of B2: the rows of B1 at their best rates, with four fresh seeds.

    Raises ValueError while a row lacks a rate.
    """
    head = HEAD.format(
        about="Depth against layer dropping at equal FLOPs, every row at its own best rate",
        verb="b2",
        name="evidence-b2",
        seed=FIRST_SEED["b2"],
        steps=10800,
    )
    best = optima(runs)
    rows = [
        f"  {row_of(layers, kind)}:{changes(layers, kind, best[row_of(layers, kind)].rate)}"
        for layers in LAYERS
        for kind in SCHEDULES
    ]
    return f"{head}{''.join(rows)}reference: {row_of(6, 'full')}\nseeds: 4\n"


def c(block: int, cells: Iterable[Cell]) -> str:
    """Returns the study of one block: twelve cells and full depth, one seed."""
    head = HEAD.format(
        about=f"Conventions of layer dropping at equal FLOPs, block {block + 1} of {BLOCKS} (12 cells and full depth)",
        verb="c", name=f"evidence-c-block-{block}", seed=FIRST_SEED["c"] + block, steps=7200,
    )  # fmt: skip
    rows = [f"  {cell.name}:{conventions(cell)}" for cell in cells if cell.block == block]
    return f"{head}  full: {{}}\n{''.join(rows)}reference: full\nseeds: 1\n"


def changes(layers: int, kind: str, lr: float) -> str:
    """Returns the changes of the experiment in a row of B."""
    schedule = "full" if kind == "full" else f"{{base: pld, rescale: block, temporal: {TEMPORAL[kind].format(SAVING)}}}"
    return f"\n    model.layers: {layers}\n    optimizer.lr: {word(lr)}\n    schedule: {schedule}\n"


def conventions(cell: Cell) -> str:
    """Returns the changes of the experiment in a cell of C."""
    words = cell.words
    depth = "{kind: uniform}" if words["profile"] == "uniform" else "{kind: linear, index: l/L}"
    temporal = TEMPORAL[words["direction"]].format(f"{words['saving']} % of blocks")
    strata = ", strata: 8" if words["draw"] == "sequence" else ""
    draw = f"{{kind: bernoulli, per: {words['draw']}, unit: layer{strata}}}"
    first, rest = f"{{base: pld, rescale: {words['rescale']}, draw: {draw},", f"depth: {depth}, temporal: {temporal}}}"
    return f"\n    optimizer.lr: {cell.lr}\n    schedule: {first}\n               {rest}\n"


def row_of(layers: int, kind: str) -> str:
    """Returns the name of a row of B."""
    return f"{kind}-{layers}"


def word(lr: float) -> str:
    """Formats a rate as a study writes it: 2e-3, 1.78e-3."""
    digits, exponent = f"{lr:.2e}".split("e")
    return f"{float(digits):g}e{int(exponent)}"


def optima(runs: Iterable[Run]) -> dict[str, Optimum]:
    """Returns row of B -> its optimum by `valid/loss` over the rates of B1.

    Raises ValueError while a row lacks a finished rate.
    """
    losses: dict[str, dict[float, float]] = {row_of(layers, kind): {} for layers in LAYERS for kind in SCHEDULES}
    for run in runs:
        if run.state == "finished":
            losses["-".join(run.row.split("-")[:2])][run.experiment["optimizer"]["lr"]] = run.final["valid/loss"]
    lacking = [row for row, of_row in losses.items() if len(of_row) < len(RATES)]
    if lacking:
        raise ValueError(f"a quadratic needs three rates, and these rows have fewer: {', '.join(lacking)}")
    return {row: best_rate(list(of_row), list(of_row.values())) for row, of_row in losses.items()}


def written(stage: str, records: Path = RECORDS) -> Mapping[str, str]:
    """Returns file below the designs -> its text."""
    if stage == "c":
        cells = layout()
        return {f"c/block-{block}.yaml": c(block, cells) for block in range(BLOCKS)}
    return {f"{stage}/study.yaml": b1() if stage == "b1" else b2(runs_of("evidence-b1", records))}


if __name__ == "__main__":
    for name, text in written(sys.argv[1]).items():
        path = DESIGNS / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path)
