"""The command and one environment variable that the system shows for a forked process, written over its parent's
(Linux).

The system reads both from the memory in which a program received them (`/proc/N/cmdline`, `/proc/N/environ`), and a
fork does not change this memory. A process that forks others is therefore started with spare room in both, and each
forked process writes its own text there. The layout of a process's memory: proc(5), fields 48 and 49 of
`/proc/self/stat`.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

_STAT = Path("/proc/self/stat")
_ARGUMENTS = 48, 49  # fields of _STAT, counted from 1
_AFTER_NAME = 3  # the number of the first field after the program's name, which may contain spaces
_FILLER = b"_="  # a variable with a name that no program reads


class Names:
    """The memory of this process's command and of one of its variables, located before either changes.

    The process was started with a value of `room` bytes for `variable`.
    """

    def __init__(self, variable: str, room: int) -> None:
        self._variable, self._room = variable, room
        library = ctypes.CDLL(None)
        library.getenv.restype = ctypes.c_void_p
        self._value: int | None = library.getenv(os.fsencode(variable))
        fields = _STAT.read_text().rpartition(")")[2].split()
        self._start, self._end = (int(fields[number - _AFTER_NAME]) for number in _ARGUMENTS)

    def show(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Writes a command over this process's command, cut to the available room, and the variable's value in
        `environment` over its present value.

        The rest of the value's room becomes a variable that no program reads.
        """
        words = b"\0".join(map(os.fsencode, command))[: self._end - self._start - 1]
        ctypes.memset(self._start, 0, self._end - self._start)
        ctypes.memmove(self._start, words, len(words))
        value = os.fsencode(environment.get(self._variable, "")) + b"\0" + _FILLER
        if self._value is not None and len(value) <= self._room:
            ctypes.memmove(self._value, value.ljust(self._room, b"-"), self._room)
