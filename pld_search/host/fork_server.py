"""A process that has loaded what others need, and forks itself for each of them (Linux).

A forked process is what a fresh one would be after its imports: nothing was computed before the fork, no thread of
Python runs, no device was opened. It leads a process group, has its own output and environment, is named by its own
command, and ends with the server, as the server ends with the process that started it (host/child.py).

The two ends speak JSON, a line each, over a pair of sockets: requests down, `started` and `ended` up.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from pld_search.host.child import die_with
from pld_search.host.process_names import Names
from pld_search.host.signals import REQUESTS

READY = "ready"
_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class ForkRequest:
    """A process to be forked: its command, its whole environment, and the file that its output is appended to."""

    command: list[str]
    environment: dict[str, str]
    log: str


class Lines:
    """JSON values over a socket, a line each."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel, self._rest = channel, b""

    def send(self, value: Any) -> None:
        """Raises OSError when the other end is gone."""
        self.channel.sendall(json.dumps(value).encode() + b"\n")

    def received(self) -> Iterator[Any] | None:
        """The values of one read, which waits for some as the socket does; None when the other end has closed.

        Raises OSError as the socket does.
        """
        data = self.channel.recv(_BYTES)
        if not data:
            return None
        *whole, self._rest = (self._rest + data).split(b"\n")
        return map(json.loads, whole)


def serve(channel: socket.socket, names: Names) -> ForkRequest | None:
    """Fork for every request until the other end closes and every forked process has ended.

    Returns the request in each forked process, which goes on as that process; None in the server. SIGTERM and SIGINT
    are held back in the server, since its processes are asked to stop one by one.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, REQUESTS)
    gc.collect()
    gc.freeze()  # what is loaded is shared with every forked process, and no collection touches it
    return _Server(channel, names).serve()


class _Server:
    def __init__(self, channel: socket.socket, names: Names) -> None:
        self._lines, self._names = Lines(channel), names
        self._children: dict[int, int] = {}  # a descriptor that is readable when the process has ended -> its number
        self._poll = select.poll()

    def serve(self) -> ForkRequest | None:
        os.close(os.pidfd_open(os.getpid()))  # an old kernel cannot: said before anything is promised
        channel = self._lines.channel.fileno()
        self._poll.register(channel, select.POLLIN)
        self._lines.send({READY: os.getpid()})
        is_open = True
        while is_open or self._children:
            for descriptor, _ in self._poll.poll():
                if descriptor in self._children:
                    self._reap(descriptor)
                    continue
                values = self._lines.received()
                if values is None:
                    is_open = False
                    self._poll.unregister(channel)
                for value in values or ():
                    request = ForkRequest(**value)
                    if self._forked(request):
                        return request
        return None

    def _forked(self, request: ForkRequest) -> bool:
        """Whether this is the forked process."""
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become(request, server)
            return True
        with contextlib.suppress(OSError):  # it may have ended already
            os.setpgid(pid, pid)  # both do so: its group is there when it is told, whichever comes first
        descriptor = os.pidfd_open(pid)
        self._children[descriptor] = pid
        self._poll.register(descriptor, select.POLLIN)
        self._lines.send({"started": pid})
        return False

    def _reap(self, descriptor: int) -> None:
        pid = self._children.pop(descriptor)
        self._poll.unregister(descriptor)
        os.close(descriptor)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with contextlib.suppress(OSError):  # nobody may be there to hear it
            self._lines.send({"ended": pid, "code": code})

    def _become(self, request: ForkRequest, server: int) -> None:
        """Settle in the forked process: group, death with the server, output, environment, name, signals."""
        os.setpgid(0, 0)
        die_with(server)
        for descriptor in (*self._children, self._lines.channel.detach()):
            os.close(descriptor)
        log = os.open(request.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        os.environ.clear()
        os.environ.update(request.environment)
        self._names.show(request.command, request.environment)
        gc.unfreeze()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, REQUESTS)


def as_line(request: ForkRequest) -> dict[str, Any]:
    """A request as the server reads it."""
    return asdict(request)
