"""How much memory is left of the machine and of the groups that limit a process, and who was killed for it."""

from __future__ import annotations

from pathlib import Path

from pld_search.host.host_memory import HostMemory, host_memory, oom_kills, peak_resident_bytes, resident_bytes

KIB = 1024


def test_the_machine_and_every_group_above_have_a_say(tmp_path: Path) -> None:
    machine, own, root = tmp_path / "meminfo", tmp_path / "cgroup", tmp_path / "sys"
    machine.write_text("MemTotal:       1000 kB\nMemFree:  1 kB\nMemAvailable:    600 kB\n")
    assert host_memory(machine, tmp_path / "none", root) == HostMemory(1000 * KIB, 600 * KIB)
    own.write_text("0::/a/b\n")
    for place, limit, used in (("a/b", "max", 5), ("a", str(800 * KIB), 500 * KIB)):
        (root / place).mkdir(parents=True, exist_ok=True)
        (root / place / "memory.max").write_text(f"{limit}\n")
        (root / place / "memory.current").write_text(f"{used}\n")
        (root / place / "memory.stat").write_text(f"anon 3\ninactive_file {100 * KIB}\nactive_file 7\n")
    assert host_memory(machine, own, root) == HostMemory(800 * KIB, 400 * KIB)


def test_groups_of_the_first_version(tmp_path: Path) -> None:
    own, group = tmp_path / "cgroup", tmp_path / "sys" / "memory" / "job"
    own.write_text("4:memory:/job\n0::/\n")
    group.mkdir(parents=True)
    (group.parent / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    (group / "memory.limit_in_bytes").write_text("4096\n")
    (group / "memory.usage_in_bytes").write_text("1024\n")
    (group / "memory.stat").write_text("inactive_file 1\ntotal_inactive_file 24\n")
    assert host_memory(own=own, root=tmp_path / "sys") == HostMemory(4096, 3096)


def test_this_machine() -> None:
    found = host_memory()
    assert 0 < found.free <= found.total
    assert 10_000_000 < resident_bytes() <= peak_resident_bytes() < found.total


def test_kills_for_lack_of_memory_are_counted_in_every_group_above(tmp_path: Path) -> None:
    own, root, machine = tmp_path / "cgroup", tmp_path / "sys", tmp_path / "vmstat"
    own.write_text("0::/a/b\n")
    for place, count in (("a/b", 2), ("a", 3), ("", 4)):
        (root / place).mkdir(parents=True, exist_ok=True)
        (root / place / "memory.events").write_text(f"low 0\noom 9\noom_kill {count}\noom_group_kill 7\n")
    machine.write_text("pgfault 5\noom_kill 10\n")
    assert oom_kills(own, root, machine) == 19
    own.write_text("4:memory:/c\n1:cpu:/d\n")
    (root / "memory" / "c").mkdir(parents=True)
    (root / "memory" / "c" / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 6\n")
    assert oom_kills(own, root, tmp_path / "none") == 6
    assert oom_kills(tmp_path / "none", root, tmp_path / "none") == 0
    assert oom_kills() >= 0
