"""Atomic files, flushes, digests and locks, with real processes where a lock is to be held by someone else."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pld_search.errors import StudyError
from pld_search.host import disk
from pld_search.host.disk import expanded, file_digest, file_entry, flush, held, write_atomically

HOLDER = """
import sys, time
from pathlib import Path
from pld_search.host.disk import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""

WRITER = """
import os, signal, sys
from pathlib import Path
from pld_search.host import disk
if sys.argv[2] == "before":
    disk.flush = lambda path: os.kill(os.getpid(), signal.SIGKILL)
disk.write_atomically(Path(sys.argv[1]), "new" * 100_000)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_with_its_folder_and_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "note.txt"
    write_atomically(target, "größer\n")
    write_atomically(target, "größer\nnoch\n")
    assert target.read_bytes() == "größer\nnoch\n".encode()
    assert names(target.parent) == ["note.txt"]


@pytest.mark.parametrize("owner", ["flush", "replace", "write_text"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: str
) -> None:
    target = tmp_path / "note.txt"
    write_atomically(target, "old")

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk if owner == "flush" else Path, owner, full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(target, "new")
    monkeypatch.undo()
    assert target.read_text() == "old"
    assert names(tmp_path) == ["note.txt"]


@pytest.mark.parametrize(("when", "left"), [("before", "old"), ("never", "new" * 100_000)])
def test_a_killed_writer_leaves_one_whole_file(tmp_path: Path, when: str, left: str) -> None:
    target = tmp_path / "note.txt"
    target.write_text("old")
    done = subprocess.run([sys.executable, "-c", WRITER, str(target), when], check=False)
    assert done.returncode == (-signal.SIGKILL if when == "before" else 0)
    assert target.read_text() == left


def test_flush_reaches_files_and_folders_and_closes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    synced: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append((descriptor, os.fstat(descriptor).st_ino)))
    for path in (tmp_path, tmp_path / "file"):
        flush(path)
    assert [inode for _, inode in synced] == [tmp_path.stat().st_ino, (tmp_path / "file").stat().st_ino]
    for descriptor, _ in synced:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


def test_a_digest_and_an_entry_tell_content(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(data)
    assert file_digest(tmp_path / "a") == hashlib.sha256(data).hexdigest()
    assert file_entry(tmp_path / "a") == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def test_a_lock_held_elsewhere_is_refused_and_freed_by_its_holders_death(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(lock)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StudyError, match="taken by another"), held(lock, taken=lambda: "taken by another"):
            raise AssertionError("two holders")
    finally:
        holder.kill()
        holder.communicate()
    with held(lock, taken=lambda: "taken by another"):  # the system freed it
        pass
    with held(lock):  # and so did we, also after an error
        pass


def test_a_lock_is_freed_after_an_error_inside(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inside"), held(tmp_path / "a.lock"):
        raise ValueError("inside")
    with held(tmp_path / "a.lock", taken=lambda: "still held"):
        pass


def test_the_home_of_an_unknown_user_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/texts") == tmp_path / "texts"
    assert expanded(Path("a/~/b")) == Path("a/~/b")
    assert expanded("~nobody of this name/texts") == Path("~nobody of this name/texts")
