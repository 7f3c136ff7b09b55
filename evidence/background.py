"""`evidence/background`: runs the evidence beside other work on this machine. Standard library only.

start     check the designs, lay out packed records, build the runs' own environment if it is missing, and begin
pause     stop until `resume`; a measurement (`make test`, `pld-search bench`) stops it by a separate lock
resume    go on
stop      checkpoint and end; `start` goes on from there
status    show the process and the progress of every study
pack      put the records of every ended run into the repository
unpack    lay the packed records out as studies that can be continued, reported and mirrored
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from evidence.keeper import Keeper, run_command
from evidence.places import BASE, DESIGNS, RECORDS, ROOT, Home, name_of, studies
from pld_search.bench.quiet import Background
from pld_search.records.packed_records import pack, unpack


class Refused(Exception):
    """An error that the user must fix, as one line."""


def start(home: Home) -> None:
    """Starts the background, or passes new designs to the running one."""
    check_committed()
    home.folder.mkdir(parents=True, exist_ok=True)
    hand_over_designs(home)
    lay_out(home)
    if (pid := keeper_of(home)) is not None:
        say(f"already running as process {pid}; it takes up new studies when it is done with its own")
        return
    build(home)
    with home.log.open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "evidence.background", "--home", str(home.folder), "serve"],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    time.sleep(1)
    if child.poll() is not None:
        raise Refused(f"it ended at once; the reason is at the end of {home.log}")
    say(f"running as process {child.pid}; its log: {home.log}")


def serve(home: Home) -> None:
    """Runs the background itself, at the lowest priority."""
    os.nice(19)
    home.note.write_text(json.dumps({"pid": os.getpid()}))
    background = Background()
    keeper = Keeper(
        home, background, partial(run_command, home), lambda text: say(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}")
    )
    signal.signal(signal.SIGTERM, keeper.end)
    signal.signal(signal.SIGINT, keeper.end)
    try:
        keeper.run()
    finally:
        background.close()
        home.note.unlink(missing_ok=True)


def stop(home: Home) -> None:
    """Ends the background after a checkpoint; returns when it has ended."""
    pid = keeper_of(home)
    if pid is None:
        say("not running")
        return
    os.kill(pid, signal.SIGTERM)
    while keeper_of(home) is not None:
        time.sleep(0.2)
    say("stopped")


def status(home: Home) -> None:
    """Prints one line on the process and one for each study."""
    pid = keeper_of(home)
    state = "not running" if pid is None else f"process {pid}" + (", paused" if home.paused.exists() else "")
    say(state)
    for study in studies():
        done = len(list((home.runs / name_of(study)).glob("trials/*/seed-*/events.jsonl")))
        packed = len(list((RECORDS / name_of(study)).glob("trials/*/seed-*/*.xz")))
        say(f"{name_of(study)}: {done} runs begun, {packed} packed")


def pack_all(home: Home) -> str:
    """Packs newly ended runs of every study; returns a line with their numbers."""
    machine = machine_of(home)
    packed = {study: pack(home.runs / name_of(study), RECORDS / name_of(study), machine) for study in studies()}
    far = [f"{name_of(study)}: {each.total} runs, {each.added} of them new" for study, each in packed.items()]
    return "; ".join(line for line, each in zip(far, packed.values(), strict=True) if each.total) or "no run has ended"


def lay_out(home: Home) -> None:
    """Unpacks every study that this machine does not have."""
    for study in studies():
        count = unpack(RECORDS / name_of(study), home.runs / name_of(study))
        if count:
            say(f"{name_of(study)}: {count} runs from the packed records")


def hand_over_designs(home: Home) -> None:
    """Copies the committed studies, so that a later change of the checkout does not affect running studies."""
    for source in (*studies(), DESIGNS / "machine.yaml"):
        target = home.designs / source.relative_to(DESIGNS)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def check_committed() -> None:
    """Refuses to run a design that is not committed: the analysis must be written down before its data exist."""
    changed = git(
        "status",
        "--porcelain",
        "--",
        *[str(path) for path in studies()],
        str(DESIGNS / "DESIGN.md"),
        str(DESIGNS / "machine.yaml"),
    )
    if changed:
        raise Refused(f"commit the designs before they run:\n{changed}")


def build(home: Home) -> None:
    """Clones BASE with a separate environment, built from the pinned versions committed with it."""
    if not home.code.exists():
        git("clone", "--quiet", str(ROOT), str(home.code))
        git("-C", str(home.code), "checkout", "--quiet", "--detach", BASE)
    head, changed = (
        git("-C", str(home.code), "rev-parse", "HEAD"),
        git("-C", str(home.code), "status", "--porcelain", "--untracked-files=no"),
    )
    if head != BASE or changed:
        raise Refused(f"{home.code} is not the code of {BASE[:7]}; remove it, and `start` makes it again")
    if not home.program.exists():
        say("building the environment of the runs (some minutes)")
        python = str(home.program.with_name("python"))
        run("python3.11", "-m", "venv", str(home.code / ".venv"))
        for what in (["torch"], ["--editable", "."]):
            run(python, "-m", "pip", "install", "--quiet", "--constraint", "constraints.txt", *what, folder=home.code)


def machine_of(home: Home) -> dict[str, str]:
    """Returns the facts that decide whether another machine repeats a run bit for bit: torch's build and the
    instruction set it uses here.
    """
    code = "import torch; print(torch.__version__, torch.backends.cpu.get_cpu_capability())"
    torch, instructions = run(str(home.program.with_name("python")), "-c", code).split(maxsplit=1)
    return {"torch": torch, "instruction_set": instructions}


def keeper_of(home: Home) -> int | None:
    """Returns the process id of the background if it lives."""
    try:
        pid = int(json.loads(home.note.read_text())["pid"])
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError, KeyError):
        return None
    return pid if b"evidence.background" in command else None


def git(*words: str) -> str:
    """Runs a git command in the checkout; returns its output."""
    return run("git", *words)


def run(*words: str, folder: Path = ROOT) -> str:
    """Returns a command's output. Raises Refused with its error."""
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"{' '.join(words)}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout.strip()


def say(text: str) -> None:
    """Prints a line."""
    print(text, flush=True)


def main(words: list[str]) -> int:
    """Runs the command line; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="evidence/background", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--home", type=Path, help="the folder of code, environment and runs; default: $PLD_SEARCH_EVIDENCE"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in ("start", "pause", "resume", "stop", "status", "pack", "unpack", "serve"):
        verbs.add_parser(verb)
    given = parser.parse_args(words)
    home = Home(given.home)
    try:
        if given.verb == "pause":
            home.paused.touch()
        elif given.verb == "resume":
            home.paused.unlink(missing_ok=True)
        elif given.verb == "pack":
            say(pack_all(home))
        else:
            {"start": start, "stop": stop, "status": status, "unpack": lay_out, "serve": serve}[given.verb](home)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
