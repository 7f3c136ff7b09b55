"""Runs the tests of the repairs of 2026-11-30 on the package before and after each repair.

    python benchmarks/repair_tests.py [PART]

A repair's tests run twice in its own commit's tree: with its own package, and with the package of the commit before it.
The script prints, for each repair, the tests that fail before and pass after it, and counts the others.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parent.parent
REPAIRS = (
    ("3, 4, 7", "bd19373", "57a8234", "tests/spaces/test_bases.py"),
    ("2", "f74e6a6", "38d1a14", "tests/data/test_sources.py"),
    ("5", "f74e6a6", "38d1a14", "tests/data/test_shared_documents.py"),
    ("10", "f74e6a6", "38d1a14", "tests/data/test_store.py"),
    ("1", "b69affd", "d3479d4", "tests/test_sockets.py"),
    ("6", "dad851f", "bf0b506", "tests/specs/test_limits.py"),
    ("9", "e882b82", "d353c8d", "tests/model/attach/test_attach.py"),
    ("8", "e882b82", "d353c8d", "tests/cli/test_verbs.py"),
    ("8", "e882b82", "d353c8d", "tests/report/test_wording.py"),
    ("8", "e882b82", "d353c8d", "tests/cli/test_report.py"),
    ("8", "e882b82", "d353c8d", "tests/schedules/test_deepspeed.py tests/schedules/test_units.py"),
    ("8", "e882b82", "d353c8d", "tests/spaces/test_load_study.py tests/specs/test_yaml_io.py"),
    ("8", "3fceba5", "d353c8d", "tests/data/test_glue.py"),
)
_LINE = re.compile(r"^(PASSED|FAILED|ERROR|SKIPPED|XFAIL) (tests/.+?)(?: - .*)?$", re.MULTILINE)


def unpacked(commit: str, place: Path, *paths: str) -> None:
    packed = subprocess.run(["git", "-C", str(ROOT), "archive", commit, *paths], capture_output=True, check=True)
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as archive:
        archive.extractall(place, filter="data")


def outcomes(tests: Path, package: Path, files: list[str]) -> dict[str, str]:
    """Returns the outcome of every test with this package; a file that cannot be imported is one error."""
    environment = {**os.environ, "PYTHONPATH": f"{package}:{tests}", "OMP_NUM_THREADS": "1"}
    options = ["-q", "-rA", "--tb=no", "-p", "no:cacheprovider", "-m", "not soak"]
    command = [sys.executable, "-m", "pytest", *options, *files]
    done = subprocess.run(command, cwd=tests, env=environment, capture_output=True, text=True, check=False)
    return {name: outcome for outcome, name in _LINE.findall(done.stdout)}


def main() -> None:
    for part, after, before, files in REPAIRS:
        if sys.argv[1:] and part not in sys.argv[1:]:
            continue
        with tempfile.TemporaryDirectory() as place:
            tests, new, old = (Path(place) / name for name in ("tests", "after", "before"))
            unpacked(after, new)
            unpacked(before, old)
            unpacked(after, tests)
            shutil.rmtree(tests / "pld_search")
            now = outcomes(tests, new, files.split())
            then = outcomes(tests, old, files.split())
        mended = [name for name, outcome in now.items() if outcome == "PASSED" and then.get(name) == "FAILED"]
        unknown = len([name for name in now if name not in then])
        sys.stdout.write(f"part {part}: {after} on {before}: {files}\n")
        sys.stdout.write(f"  here {dict(Counter(now.values()))}, there {dict(Counter(then.values()))}")
        sys.stdout.write(f"; {unknown} not run there: their file imports what is new\n" if unknown else "\n")
        for name in mended:
            sys.stdout.write(f"  fails there, passes here: {name}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
