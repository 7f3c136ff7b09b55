"""Whether a tiny BERT learns next sentences: `python benchmarks/nsp_learns.py MACHINE FOLDER OUT`.

The script runs benchmarks/nsp_learns.yaml in FOLDER, one run at a time on one thread; finished runs stay. MACHINE is a
machine file that names WikiText-2's folder: `corpora: {wikitext: FOLDER}`. Over the seeds it compares
`valid/nsp_accuracy` with the share of the more frequent answer among the same held-out pairs, and `valid/nsp_loss` with
the entropy of this share, which is the least loss of a constant answer. A pair's lengths betray much of the answer (a
random B fills the pair, the rest of a short paragraph does not), so the accuracy is also compared with the answer by
lengths alone, learnt from training pairs. Mean difference and 95 % t interval, at every validated step that all seeds
have. OUT.json has every validation of every seed, OUT.txt the table. The values do not
depend on the load. With --read the script runs nothing and reports the content of FOLDER.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pld_search.data.packed_corpus import Corpus
from pld_search.pretraining.batch_tensors import Examples
from pld_search.pretraining.registry import objective_of
from pld_search.records.run_record import RunRecord, fold_run
from pld_search.specs.spec_files import read_execution
from pld_search.training.setup import place_of

sys.path.insert(0, str(Path(__file__).parent))
from electra_learns import interval
from facts import facts

STUDY = Path(__file__).with_suffix(".yaml")
TRAINING_STEPS = 1000
NAMES = ("valid/nsp_accuracy", "valid/nsp_loss", "valid/mlm_loss")


class Answers(NamedTuple):
    """Answers that read no word: the accuracy of the more frequent answer and its least loss, and the accuracy of the
    more frequent answer among training pairs with the same lengths of A and of the pair.
    """

    accuracy: float
    loss: float
    by_lengths: float


def lengths(examples: Examples) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns a bin for each pair (N,), by the lengths of A and of the pair in eights, and the labels (N,)."""
    pair = examples.arrays["attention_mask"].sum(1)
    of_a = pair - examples.arrays["token_type_ids"].sum(1)
    full = pair == examples.arrays["attention_mask"].shape[1]
    return (of_a // 8 * 100 + pair // 8) * 2 + full, examples.arrays["next_labels"]


def wordless(run: Path, record: RunRecord) -> Answers:
    """Returns the answers that read no word, over the held-out pairs; lengths are learnt from training pairs."""
    experiment = record.experiment
    corpus = Corpus(place_of(read_execution(run / "execution.yaml"), experiment.data.corpus, "the corpus"))
    objective, data = objective_of(experiment.pretraining), experiment.data
    batches = objective.batches(corpus, data, experiment.batch, experiment.seed, experiment.steps)
    trained = [lengths(batches.at(step)) for step in range(1, min(experiment.steps, TRAINING_STEPS) + 1)]
    held_out = [
        lengths(chunk) for chunk in objective.held_out(corpus, data, "validation", experiment.validation.sequences)
    ]
    bins, labels = (np.concatenate(values) for values in zip(*trained, strict=True))
    asked, right = (np.concatenate(values) for values in zip(*held_out, strict=True))
    size = int(max(bins.max(), asked.max())) + 1
    total, others = np.bincount(bins, minlength=size), np.bincount(bins, labels, minlength=size)
    usual = float(labels.mean()) > 0.5
    answers = np.where(total > 0, 2 * others > total, usual)
    share = float(right.mean())
    least = -share * math.log(share) - (1 - share) * math.log(1 - share)
    return Answers(max(share, 1 - share), least, float((answers[asked] == right).mean()))


def found(folder: Path) -> dict[str, Any]:
    """Returns every validation, and both differences at each step that all seeds have validated."""
    runs = sorted((folder / "nsp-learns" / "trials" / "0000").glob("seed-*"), key=lambda run: run.name)
    records = [(run, record) for run, record in ((run, fold_run(run)) for run in runs) if record.series.get(NAMES[0])]
    answers = wordless(*records[0])
    series = [{name: dict(record.series[name]) for name in NAMES} for _, record in records]
    common = sorted(set.intersection(*(set(seed[NAMES[0]]) for seed in series)))
    return {
        "study": STUDY.name,
        "constant accuracy": answers.accuracy,
        "constant loss": answers.loss,
        "accuracy by lengths": answers.by_lengths,
        "seeds": [{name: sorted(values.items()) for name, values in seed.items()} for seed in series],
        "of": records[0][1].experiment.steps,
        "steps": {
            step: {
                "accuracy - constant": interval([seed[NAMES[0]][step] - answers.accuracy for seed in series]),
                "accuracy - by lengths": interval([seed[NAMES[0]][step] - answers.by_lengths for seed in series]),
                "constant - loss": interval([answers.loss - seed[NAMES[1]][step] for seed in series]),
                "mlm_loss": interval([seed[NAMES[2]][step] for seed in series])[0],
            }
            for step in common
        },
    }


def table(told: dict[str, Any]) -> str:
    """Returns one line for each validated step; positive differences are better than a constant answer."""
    lines = [
        f"constant answer: accuracy {told['constant accuracy']:.3f}, loss {told['constant loss']:.4f}; "
        f"by lengths: accuracy {told['accuracy by lengths']:.3f}; {len(told['seeds'])} seeds",
        f"{'step':>6} {'accuracy - constant':>28} {'accuracy - by lengths':>28} {'constant loss - nsp_loss':>28} {'mlm_loss':>8}",
    ]
    for step, values in told["steps"].items():
        cells = ["{:+.3f} ({:+.3f} to {:+.3f})".format(*values[name]) for name in list(values)[:3]]
        lines.append(f"{step:>6,} {' '.join(f'{cell:>28}' for cell in cells)} {values['mlm_loss']:>8.3f}")
    return "\n".join(lines)


def main() -> None:
    """Runs the study unless --read is given, and writes the results."""
    machine, folder, out = map(Path, [word for word in sys.argv[1:] if word != "--read"])
    if "--read" not in sys.argv:
        words = ["--slots", "1", "--threads", "1", "--device", "cpu", "--set", "machine.speed_probes=0"]
        command = [sys.executable, "-m", "pld_search", "run", str(STUDY), "--runs", str(folder)]
        subprocess.run([*command, "--machine", str(machine), *words], check=True)
    told = {**facts(), **found(folder)}
    out.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    out.with_suffix(".txt").write_text(table(told) + "\n", encoding="utf-8")
    print(table(told))


if __name__ == "__main__":
    main()
