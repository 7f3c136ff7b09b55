"""The commented study that `init` writes, from the facts found about text, tasks and machine."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pld_search.app.starter_size import size_for
from pld_search.data.inspect_text import TextLook

MACHINE = """# What belongs to this machine and not to the study; every key is in docs/studies.md.
slots: {slots}                # runs at once, one a GPU
micro_batch: 64         # sequences of one forward; auto: the most that fit; results stay the same
# corpora: {{pubmed: /data/pubmed}}     # where folders that places start with lie on this machine
"""

STUDY = """# {name}: does dropping layers pay on this text?
# Full depth against progressive layer dropping{rivals} at the same FLOPs.
# Written by `pld-search init` from a look at {files} ({size}),
# about {documents:,} documents.
# Every key: docs/studies.md. Next: pld-search plan {name}.yaml, then pld-search run {name}.yaml
name: {name}
experiment:
  model: {model}
  data:
    train: {source}{others}
    validation: {share}     # of the documents, at least one; the search sees these
    test: {share}           # never seen by the search
{unit}    tokenizer: {tokenizer}
    length: {length}          # positions of a sequence; documents are packed
    masking: {{rate: 15 %}}
  batch: {{sequences: {sequences}}}
  optimizer:            # linear: falls to 0 at the last step
    {{lr: {lr}, shape: linear, warmup: 10 %, weight_decay: 0.01, clip: 1.0}}
  precision: auto       # fp16 on CUDA, fp32 on a CPU
{evaluation}  schedule: full        # what systems do not change
budget: {{steps: {steps}, equal: flops}}     # of the reference; others get as many steps as cost the same
systems:                # the rows of every comparison
  full: {{schedule: full}}
  pld: {{schedule: pld}}  # pld-search schedule list names the others
{shallow}reference: full
seeds: 3                # of every row: runs of equal seed are compared, and three say how large a difference is chance
# To search a schedule as well, open a value of it under `experiment` and say how many trials, here at the end:
#   schedule: {{base: pld, temporal.end: {{float: [0.3, 0.9]}}}}
# search: {{objective: {{minimize: valid/loss}}, trials: 20}}
"""


def study_text(
    name: str,
    text: Sequence[str],
    seen: TextLook,
    tasks: Sequence[str],
    start: str | None,
    longest: int | None,
    device: str,
) -> str:
    """Returns the YAML. `tasks` are GLUE's names or flow mappings; `start` is a checkpoint, whose table of positions
    has `longest` rows.
    """
    size = size_for(device, seen.characters)
    length = min(size.length, longest or size.length)
    field = f", field: {json.dumps(seen.field)}" if seen.field else ""
    source = f"{{text: {json.dumps(list(text))}{field}}}"
    share = "5 %" if seen.documents >= 200 else "20 %"
    model = f"{{from: {json.dumps(start)}}}   # its architecture and tokens come with it" if start else size.model
    shallow = (
        "waive: {depth: the checkpoint has one depth}\n"
        if start
        else f"  shallow: {{schedule: full, model.layers: {size.shallow}}}     # is the reference too deep?\n"
    )
    tokenizer = json.dumps(start) if start else f"{{train: wordpiece, vocabulary: {size.vocabulary}}}"
    evaluation = (
        f"  evaluation: {{tasks: [{', '.join(tasks)}], seeds: 1, lr: 1e-4, epochs: 3, length: "
        f"{min(128, longest or 128)}}}   # fine-tuning after each run\n"
        if tasks
        else ""
    )
    unit = f"    document: {seen.document}      # file | line | paragraph\n" if seen.document else ""
    others = (
        f"   # other text fields: {', '.join(name for name in seen.fields if name != seen.field)}"
        if len(seen.fields) > 1
        else ""
    )
    return STUDY.format(
        name=name,
        rivals="" if start else " and fewer layers",
        files=files_of(seen),
        size=_bytes(seen.packed_bytes),
        documents=seen.documents,
        model=model,
        source=source,
        others=others,
        share=share,
        unit=unit,
        tokenizer=tokenizer,
        length=length,
        sequences=size.sequences,
        lr="1e-4" if start else size.lr,
        evaluation=evaluation,
        shallow=shallow,
        steps=size.steps,
    )


def files_of(seen: TextLook) -> str:
    """Formats the number of found files."""
    return f"{seen.files:,} file{'' if seen.files == 1 else 's'}"


def _bytes(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
