"""Measures speed and memory of `prepare` on a large text: `python benchmarks/prepare.py GIGABYTES FOLDER`.

Writes random lines of invented words into FOLDER (Zipf's law over 50,000 words), prepares them with a tokenizer of
8,192 pieces in a separate process, and prints seconds, MB of text a second, tokens, and the process's peak memory, also
after a kill halfway. Peak memory should stay flat as the text grows, except for 17 bytes a document.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

_CHILD = """
import json, sys, time
from pathlib import Path
from pld_search.data.prepare_data import prepare
from pld_search.specs.template import DataTemplate, EvaluationTemplate
folder = Path(sys.argv[1])
data = DataTemplate.model_validate({"train": {"text": [str(folder / "*.txt")]}, "document": "paragraph", "validation": "1 %", "test": "1 %", "length": 128,
                                    "tokenizer": {"train": "wordpiece", "vocabulary": 8192}})
begun = time.time()
done = prepare(data, EvaluationTemplate(), folder / "cache", places={}, base=folder, progress=lambda line: print(line, file=sys.stderr, flush=True))
peak = next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(json.dumps({"seconds": time.time() - begun, "peak_mb": peak / 1024, "digest": done.corpus.corpus, "tokens": done.corpus.statistics["tokens"],
                  "documents": done.corpus.statistics["documents"]}))
"""


def write_text(folder: Path, gigabytes: float) -> int:
    """Writes files of about 128 MB; returns the number of bytes."""
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(["".join(rng.choice(letters, size=rng.integers(2, 11))) for _ in range(50_000)])
    shares = 1 / np.arange(1, len(words) + 1)
    shares /= shares.sum()
    written = number = 0
    while written < gigabytes * 1e9:
        with (folder / f"{number:05d}.txt").open("w") as file:
            for _ in range(64):
                drawn = words[rng.choice(len(words), size=(1500, 200), p=shares)]
                written += file.write("\n\n".join(" ".join(line) + "." for line in drawn) + "\n\n")
        number += 1
    return written


def prepared(folder: Path, kill_after: float | None = None) -> dict[str, object] | None:
    child = subprocess.Popen([sys.executable, "-c", _CHILD, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        output, _ = child.communicate(timeout=kill_after)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return None
    answer: dict[str, object] = json.loads(output)
    return answer


def main() -> None:
    gigabytes, folder = float(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    size = write_text(folder, gigabytes)
    straight = prepared(folder)
    assert straight is not None
    seconds = float(str(straight["seconds"]))
    subprocess.run(["rm", "-rf", str(folder / "cache")], check=True)
    begun = time.time()
    assert prepared(folder, kill_after=seconds / 2) is None
    rest = prepared(folder)
    assert rest is not None and rest["digest"] == straight["digest"]
    print(
        json.dumps(
            {
                "bytes": size,
                "mb_per_second": size / 1e6 / seconds,
                "straight": straight,
                "killed_halfway": {**rest, "both": time.time() - begun},
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
