"""Compares a user's view before and after the repairs of 2026-11-30: the same commands on two revisions.

    python benchmarks/repairs.py [--only PART] [--study] [--attack] REVISION_OR_FOLDER ...

A case is a command with its expected exit code and text. Each line of the output says whether a revision answers as
expected, and quotes the answer. `--study` trains a study of eight small runs and tries only the cases that need one.
`--attack` trains a run of two ranks and writes a pickled command into every listener on an outside address.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import json
import lzma
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import psutil
import zstandard

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.sockets import listeners  # noqa: E402
from tests.training.rendezvous_attack import attack, outside_addresses  # noqa: E402
from tools.house_figures import checked_out  # noqa: E402

LIMIT = 60  # seconds for a command
STUDY = """
name: NAME
experiment:
  model: {layers: 4, hidden: 32, heads: 2, intermediate: 64}
  data: {train: {text: ["*.txt"]}, validation: 15 %, test: 15 %, document: file, tokenizer: {train: wordpiece, vocabulary: 120}, length: 16}
  batch: {sequences: 8}
  optimizer: {lr: 1e-3}
  precision: fp32
  schedule: pld
budget: {steps: 20}
"""
SCHEDULE = """
temporal: {kind: constant, value: VALUE}
depth: {kind: uniform}
draw: {kind: bernoulli, per: group, unit: layer}
rescale: none
skipped: freeze
"""
SEARCHED = """
seeds: 2
systems:
  pld: {optimizer.lr: 1e-6}
  full: {schedule: full, optimizer.lr: 1e-6}
reference: full
search: {trials: 1}
"""
X = "systems.x={schedule: full, optimizer.lr: 1e-6}"
BLOCK = """
import torch
from torch import nn
from pld_search import attach
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.line = nn.Linear(8, 8)
    def forward(self, SIGNATURE):
        BODY
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(4))
    def forward(self, x):
        for block in self.blocks:
            x = block(CALL)
        return x
torch.manual_seed(0)
model = Net().train()
drop = attach(model, "pld", steps=100, blocks="blocks", rescale="block")
for step in range(60, 90):
    with drop.step(step):
        model(torch.randn(2, 3, 8))
print("ran")
"""


class Case(NamedTuple):
    """A command in a separate folder, and its expected answer.

    words: the words after `pld-search`, or Python's `-c` and its code. files: name -> text or bytes.
    """

    part: str
    about: str
    words: tuple[str, ...]
    code: int
    said: str
    files: Mapping[str, str | bytes] = {}
    needs_study: bool = False
    variables: Mapping[str, str] = {}


def study(change: str = "", to: str = "", more: str = "", name: str = "s") -> dict[str, str | bytes]:
    """Returns s.yaml, with one text changed, or with lines added at the end."""
    assert change in STUDY
    return {"s.yaml": STUDY.replace("NAME", name).replace(change, to, 1 if change else 0) + more}


def documents(count: int = 400) -> str:
    return "".join(f"the {number} war of {number % 37} and peace in {number % 11} trees\n" for number in range(count))


def packed(name: str, content: bytes) -> dict[str, str | bytes]:
    """Returns a study over the lines of one packed file."""
    lines = STUDY.replace("NAME", "s").replace('"*.txt"', f"corpus/{name}").replace("document: file", "document: line")
    return {"s.yaml": lines, f"corpus/{name}": content}


def cases() -> Iterator[Case]:
    """Yields every case, by part of the issue."""
    text = documents(4000).encode()
    whole = zstandard.ZstdCompressor().compress(text)
    plan, prepare, validate = ("plan", "s.yaml"), ("prepare", "s.yaml"), ("validate", "s.yaml")
    yield Case("2", "a .zst cut in half", prepare, 2, "cut|ends|trunc", packed("a.jsonl.zst", b""))._replace(
        files=packed("a.txt.zst", whole[: len(whole) // 2])
    )
    yield Case(
        "2", "a .gz cut in half", prepare, 2, r"s\.yaml|a\.txt\.gz", packed("a.txt.gz", gzip.compress(text)[:9000])
    )
    yield Case("2", ".bz2", prepare, 0, "", packed("a.txt.bz2", bz2.compress(text)))
    yield Case("2", ".xz", prepare, 0, "", packed("a.txt.xz", lzma.compress(text)))
    yield Case("2", ".ZST", prepare, 0, "", packed("a.txt.ZST", whole))
    saving, base = "{saving: 25 % of blocks}", "{base: pld, temporal.end: 0}"
    for verb in (plan, validate):
        yield Case(
            "3",
            f"{verb[0]}: a saving without a base",
            verb,
            2,
            r"s\.yaml:9:\d+",
            study("schedule: pld", f"schedule: {saving}"),
        )
    yield Case(
        "3",
        "in a system",
        validate,
        2,
        r"s\.yaml:\d+",
        study(more=f"systems: {{a: {{}}, b: {{schedule: {saving}}}}}\nreference: a\n"),
    )
    choice = "schedule: {choice: {a: {base: pld}, b: {saving: like pld}}}"
    yield Case(
        "3", "in a choice", validate, 2, r"s\.yaml:9:\d+", study("schedule: pld", choice, "search: {trials: 2}\n")
    )
    yield Case("4", "a base's end of 0", validate, 2, r"s\.yaml:9:\d+", study("schedule: pld", f"schedule: {base}"))
    yield Case("4", "from --set", (*validate, "--set", f"schedule={base}"), 2, r"--set", study())
    wide = "schedule: {base: pld, temporal.end: {float: [0, 0.5]}}"
    yield Case("4", "in a domain", validate, 2, r"s\.yaml:9:\d+", study("schedule: pld", wide, "search: {trials: 2}\n"))
    lowest = "schedule: {base: pld, draw: {kind: lowest, per: group, unit: layer}}"
    yield Case("4", "draw: lowest over a base", validate, 2, r"s\.yaml:9:\d+", study("schedule: pld", lowest))
    yield Case(
        "5",
        "validation within training",
        prepare,
        2,
        "stand in the train text as well",
        study("validation: 15 %", 'validation: {text: ["00.txt"]}'),
    )
    huge = "9223372036854775808"
    yield Case("6", "layers of 2^63", (*plan, "--set", f"model.layers={huge}"), 2, "allowed: <= 1,000", study())
    yield Case("6", "slots of 2^63", (*plan, "--set", f"machine.slots={huge}"), 2, "allowed: <= 10,000", study())
    yield Case(
        "6",
        "show with 10^8 layers",
        ("schedule", "show", "pld", "--layers", "100000000"),
        2,
        "1,000|less than or equal to 1000",
    )
    for key, number, most in (
        ("model.layers", 2_000_000, "1,000"),
        ("seeds", 10**8, "1,000"),
        ("budget.steps", 10**9, "10,000,000"),
    ):
        yield Case("6", f"{key}={number}", (*validate, "--set", f"{key}={number}"), 2, f"allowed: <= {most}", study())
    solved = "{base: cosine, temporal.end: {saving: 20 % of total}}"
    both = study(
        "steps: 20",
        "steps: 3000000, equal: flops",
        f"systems: {{a: {{schedule: full}}, b: {{schedule: {solved}}}}}\nreference: a\n",
    )
    yield Case("6", "3,000,000 steps with a saving at equal FLOPs", validate, 0, "fine", both)
    rows = "systems: {a: {schedule: {base: pld}}, b: {schedule: pld}}\nreference: b\n"
    same = study("schedule: pld", "schedule: {base: pld, temporal.end: 0.3}", rows)
    yield Case("7", "a base named in a system", (*plan, "--json"), 0, '"equal_to": "a"', same)
    curves = (
        "{until: 10 %, temporal: {kind: constant, value: 1.0}}, {until: 100 %, temporal: {kind: constant, value: 0.5}}"
    )
    phases = f"{{base: pld, temporal: {{kind: phases, phases: [{curves}]}}}}"
    new = study(
        "schedule: pld", "schedule: {base: pld, temporal.end: 0.3}", f"systems: {{a: {{schedule: {phases}}}}}\n"
    )
    yield Case("7", "a new kind over a base in a system", validate, 0, "fine", new)
    yield Case(
        "8",
        "an unclosed quote",
        validate,
        2,
        r"s\.yaml:9:13: this quote is not closed",
        study("schedule: pld", "schedule: 'pld"),
    )
    yield Case(
        "8",
        "an unclosed bracket",
        validate,
        2,
        r"s\.yaml:5:24: this bracket is not closed",
        study('["*.txt"]}', '["*.txt"}'),
    )
    look_alike = {"s.yaml": SCHEDULE.replace("VALUE", "\uff11.0")}
    yield Case("8", "full-width digits", ("schedule", "show", "./s.yaml"), 2, r"s\.yaml:2:", look_alike)
    yield Case(
        "8",
        "missing GLUE",
        prepare,
        2,
        "tasks: {glue: FOLDER}",
        study("precision: fp32", "precision: fp32\n  evaluation: {tasks: [cola]}"),
    )
    staged = {"s.yaml": SCHEDULE.replace("{kind: constant, value: VALUE}", "{kind: stages, stages: {0: 1.0}}")}
    yield Case("8", "stages: {0: 1.0}", ("schedule", "show", "./s.yaml"), 2, "`0 %`", staged)
    yield Case(
        "8",
        "systems.full.seed",
        (*validate, "--set", "systems.full.seed=2"),
        2,
        "did you mean systems.full.seeds|did you mean seeds",
        study(more="systems: {full: {schedule: full}, pld: {}}\nreference: full\n"),
    )
    yield Case(
        "8",
        'attach("bert")',
        ("-c", 'from pld_search import attach; attach("bert", "pld", steps=10)'),
        1,
        "a torch module, not .bert",
    )
    old = {
        "ds.json": json.dumps(
            {
                "train_batch_size": 4096,
                "train_micro_batch_size_per_gpu": 16,
                "progressive_layer_drop": {"enabled": True, "theta": 0.5, "gamma": 0.001},
            }
        )
    }
    yield Case(
        "8",
        "import of DeepSpeed's own JSON",
        ("schedule", "import", "ds.json"),
        0,
        "4 in DeepSpeed's published run",
        old,
    )
    yield Case(
        "8",
        "validate --machine",
        (*validate, "--machine", "m.yaml"),
        2,
        r"m\.yaml:1:\d+: slots",
        {**study(), "m.yaml": "{slots: -1}"},
    )
    inplace = (
        BLOCK.replace("SIGNATURE", "x").replace("BODY", "return x.add_(self.line(x).detach())").replace("CALL", "x")
    )
    yield Case("9", "a block that writes in place", ("-c", inplace), 1, "in place")
    masked = (
        BLOCK.replace("SIGNATURE", "mask, x")
        .replace("BODY", "return x + self.line(x)")
        .replace("CALL", "x[..., 0] > 0, x")
    )
    yield Case("9", "forward(mask, x)", ("-c", masked), 0, "ran|by name|hidden states")
    done = {"done.yaml": STUDY.replace("NAME", "done").replace("lr: 1e-3", "lr: {log: [1e-3, 3e-3]}") + SEARCHED}
    steps = {"PLD_SEARCH_STEPS": "20"}
    lost = ("run", "done.yaml")
    yield Case("8", "run again without its --set", lost, 2, r"systems\.x", done, True, steps)
    yield Case(
        "8",
        "run again without PLD_SEARCH_STEPS",
        (*lost, "--set", X),
        2,
        "PLD_SEARCH_STEPS",
        done,
        True,
    )
    yield Case("8", "best prints what else the winner changes", ("best", "done"), 0, "optimizer", done, True)
    yield Case(
        "8",
        "best --as study keeps seeds",
        ("best", "done", "--as", "study", "--out", "winner.yaml"),
        0,
        "seeds: 2",
        done,
        True,
    )
    yield Case(
        "8", "evaluate takes a run's folder", ("evaluate", "runs/done/trials/0000/seed-0"), 0, "test/loss", done, True
    )
    yield Case("10", "damage of equal size in the cache", ("doctor",), 0, "damaged +/.*tokens.bin", done, True)


def answered(place: Path, package: Path, case: Case) -> tuple[int | None, str, float]:
    """Returns (exit code, None after the time limit; the output; seconds)."""
    for name, content in case.files.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    if case.part == "10":
        damage(place)
    began = time.monotonic()
    try:
        done = subprocess.run(
            command(case.words),
            cwd=place,
            env=environment(package) | dict(case.variables),
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
    except subprocess.TimeoutExpired:
        return None, "no answer", time.monotonic() - began
    written = (place / case.words[-1]).read_text() if "--out" in case.words and not done.returncode else ""
    return done.returncode, f"{done.stdout}{done.stderr}{written}", time.monotonic() - began


def command(words: tuple[str, ...]) -> list[str]:
    return [sys.executable, *(words if words[0] == "-c" else ("-m", "pld_search", *words))]


def environment(package: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("PLD_SEARCH")}
    return own | {"PYTHONPATH": str(package), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def damage(place: Path) -> None:
    """Changes one byte in the middle of the largest file of tokens."""
    file = max((place / "cache").rglob("*.bin"), key=lambda each: each.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.chmod(0o600)
    file.write_bytes(content)


def prepared_folder(place: Path, more: str = "") -> None:
    """Writes twelve small texts and a machine file with one slot."""
    for number in range(12):
        (place / f"{number:02d}.txt").write_text(documents(60 + number).replace("war", f"war{number}"))
    settings = "device: cpu, threads: 1, slots: 1, speed_probes: 0, runs: runs, cache: cache"
    (place / "machine.yaml").write_text(f"{{{settings}{more}}}\n")


def trained(place: Path, package: Path) -> None:
    """Trains the study `done`, with one system by --set and its steps by the environment; interrupts it once."""
    (place / "done.yaml").write_text(
        STUDY.replace("NAME", "done").replace("lr: 1e-3", "lr: {log: [1e-3, 3e-3]}") + SEARCHED
    )
    words = command(("run", "done.yaml", "--set", X))
    variables = environment(package) | {"PLD_SEARCH_STEPS": "20"}
    first = subprocess.Popen(
        words, cwd=place, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    wait_for(lambda: len(list(place.glob("runs/done/trials/*/seed-0/events.jsonl"))) > 1, first)
    first.send_signal(signal.SIGINT)
    said = first.communicate(timeout=300)[0]
    advice = "two seeds" in said or "seeds: 2" in said
    shown("8", "Ctrl-C in a study of two seeds advises them", not advice, first.returncode, said, 0.0)
    done = subprocess.run(words, cwd=place, env=variables, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    limit = time.monotonic() + 300
    while not condition() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.2)


def attacked(place: Path, package: Path) -> None:
    """Lists the listeners while a run of two ranks trains, and the effect of a pickled command from outside."""
    prepared_folder(place, ", gpus_per_run: 2")
    (place / "s.yaml").write_text(STUDY.replace("NAME", "s").replace("steps: 20", "steps: 100000"))
    events = place / "runs/s/trials/0000/seed-0/events.jsonl"
    with (place / "log").open("w") as log:
        process = subprocess.Popen(
            command(("run", "s.yaml")),
            cwd=place,
            env=environment(package),
            stdout=log,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        try:
            wait_for(
                lambda: (
                    events.exists() and '"step"' in events.read_text()[-400:] and events.read_text().count("\n") > 2
                ),
                process,
            )
            found = sorted(listeners(process.pid))
            reached = attack(process.pid, place / "bomb")
            time.sleep(20)  # torchrun's agents look every five seconds
            outside = [each for each in found if not each.on_loopback]
            said = f"outside the loopback: {[tuple(each) for each in outside]}; took a connection: {reached}; "
            said += f"the command was {'executed' if (place / 'bomb').exists() else 'not executed'}"
            shown(
                "1",
                f"two ranks, attacked at {outside_addresses()}",
                not outside and not reached,
                process.poll(),
                said,
                0.0,
            )
        finally:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
            process.wait()


def shown(part: str, about: str, right: bool, code: int | None, said: str, seconds: float) -> None:
    lines = [line for line in said.splitlines() if line.strip()] or [""]
    told = [line for line in lines if line.startswith("pld-search:")] or lines[-1:]
    sys.stdout.write(
        f"  part {part:>2}  {'yes' if right else 'NO ':<3}  {about}: exit {code}, {seconds:.1f} s: {told[0][:300]}\n"
    )
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description="Repairs, before and after.")
    parser.add_argument("sources", nargs="+", metavar="REVISION_OR_FOLDER")
    parser.add_argument("--only", help="one part")
    parser.add_argument("--study", action="store_true")
    parser.add_argument("--attack", action="store_true")
    asked = parser.parse_args()
    for source in asked.sources:
        sys.stdout.write(f"{source}\n")
        with ExitStack() as stack:
            package, base, finished = (Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(3))
            package = checked_out(source, package)
            prepared_folder(finished)
            if asked.study:
                trained(finished, package)
            for number, case in enumerate(cases()):
                if asked.only not in (None, case.part) or case.needs_study != asked.study:
                    continue
                place = finished if case.needs_study else base / str(number)
                place.mkdir(exist_ok=True)
                if not case.needs_study:
                    prepared_folder(place)
                code, said, seconds = answered(place, package, case)
                right = code == case.code and re.search(case.said, said) is not None and "Traceback" not in said
                shown(
                    case.part,
                    case.about,
                    right or (case.words[0] == "-c" and code == case.code and bool(re.search(case.said, said))),
                    code,
                    said,
                    seconds,
                )
            if asked.attack:
                attacked(base, package)


if __name__ == "__main__":
    main()
