"""What the system shows of a forked process: a command and a variable of its own, written over its parent's (Linux).

The system reads both from the memory in which a program was given them (`/proc/N/cmdline`, `/proc/N/environ`), and a
fork leaves that memory as it was. A process that is to fork others is therefore started with room in both, and a forked
one writes its own words there. The layout of a process's memory: proc(5), fields 48 and 49 of `/proc/self/stat`.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

_STAT = Path("/proc/self/stat")
_ARGUMENTS = 48, 49  # fields of _STAT, counted from 1
_AFTER_NAME = 3  # the number of the first field behind the program's name, which may hold spaces
_FILLER = b"_="  # a variable without a name anybody reads


class Names:
    """The memory of this process's command and of one of its variables, found before either was changed.

    `variable` was given with `room` bytes of value.
    """

    def __init__(self, variable: str, room: int) -> None:
        self._variable, self._room = variable, room
        library = ctypes.CDLL(None)
        library.getenv.restype = ctypes.c_void_p
        self._value: int | None = library.getenv(os.fsencode(variable))
        fields = _STAT.read_text().rpartition(")")[2].split()
        self._start, self._end = (int(fields[number - _AFTER_NAME]) for number in _ARGUMENTS)

    def show(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Write a command over this process's, cut to the room there is, and the variable's new value over its own.

        The rest of the value's room reads as a variable without a name.
        """
        words = b"\0".join(map(os.fsencode, command))[: self._end - self._start - 1]
        ctypes.memset(self._start, 0, self._end - self._start)
        ctypes.memmove(self._start, words, len(words))
        value = os.fsencode(environment.get(self._variable, "")) + b"\0" + _FILLER
        if self._value is not None and len(value) <= self._room:
            ctypes.memmove(self._value, value.ljust(self._room, b"-"), self._room)
