"""Where POSIX is missing the package still imports, and one line says what does not work."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pld_search.host.platform_limits import unsupported
from tests.test_architecture import MODULES

MODULES_OF_POSIX = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "readline", "curses")
NAMES_OF_OS = ("killpg", "getpgid", "setsid", "fork", "getuid", "geteuid", "uname", "sysconf", "sched_getaffinity")
NAMES_OF_SIGNAL = ("SIGKILL", "SIGHUP", "SIGCONT", "SIGSTOP", "SIGCHLD", "SIGUSR1", "SIGUSR2", "SIGALRM")
# Libraries are loaded first, with POSIX: they have answers of their own. Then POSIX goes, and ours is loaded afresh.
IMPORTS = """
import importlib, json, os, signal, sys
wanted, modules, of_os, of_signal = json.loads(sys.stdin.read())
for name in wanted:
    importlib.import_module(name)
for name in [each for each in sys.modules if each.split(".")[0] == "pld_search"]:
    del sys.modules[name]
sys.modules.update(dict.fromkeys(modules))
for name in of_os:
    if hasattr(os, name):
        delattr(os, name)
for name in of_signal:
    if hasattr(signal, name):
        delattr(signal, name)
sys.platform = "win32"
for name in wanted:
    importlib.import_module(name)
from pld_search.host.platform_limits import unsupported
print(json.dumps(unsupported()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has all of it")
def test_linux_lacks_nothing() -> None:
    assert unsupported() == []


def test_the_package_imports_without_posix_and_says_what_does_not_work() -> None:
    wanted = json.dumps([sorted(MODULES), MODULES_OF_POSIX, NAMES_OF_OS, NAMES_OF_SIGNAL])
    done = subprocess.run([sys.executable, "-c", IMPORTS], input=wanted, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    for missing in ("no fcntl", "no death signal", "no warm worker", "no process groups", "no SIGKILL"):
        assert [text for text in said if text.startswith(missing)], missing
