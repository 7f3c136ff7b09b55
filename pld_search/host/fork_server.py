"""A server process that has loaded the modules that other processes need, and forks itself for each of them (Linux).

A forked process equals a fresh process after its imports: before the fork nothing was computed, no Python thread runs,
and no device was opened. It leads a process group, has its own output and environment, and shows its own command. It
ends with the server, and the server ends with the process that started it (host/child.py).

Both ends exchange JSON lines over a pair of sockets: the server receives requests, and sends `started` and `ended`.
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
    """A request for a forked process: its command, its whole environment, and the file to append its output to."""

    command: list[str]
    environment: dict[str, str]
    log: str


class Lines:
    """JSON values over a socket, one per line."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel, self._rest = channel, b""

    def send(self, value: Any) -> None:
        """Sends one value. Raises OSError if the other end has closed."""
        self.channel.sendall(json.dumps(value).encode() + b"\n")

    def received(self) -> Iterator[Any] | None:
        """Returns the values of one read; None if the other end has closed.

        The read waits for data and raises OSError as the socket does.
        """
        data = self.channel.recv(_BYTES)
        if not data:
            return None
        *whole, self._rest = (self._rest + data).split(b"\n")
        return map(json.loads, whole)


def serve(channel: socket.socket, names: Names) -> ForkRequest | None:
    """Forks for every request until the other end closes and every forked process has ended.

    Returns the request in each forked process, which continues from there; None in the server. The server blocks
    SIGTERM and SIGINT, since its processes are asked to stop one by one.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, REQUESTS)
    gc.collect()
    gc.freeze()  # forked processes share the loaded objects, and no collection touches them
    return _Server(channel, names).serve()


class _Server:
    def __init__(self, channel: socket.socket, names: Names) -> None:
        self._lines, self._names = Lines(channel), names
        self._children: dict[int, int] = {}  # a descriptor that is readable once the process has ended -> its pid
        self._poll = select.poll()

    def serve(self) -> ForkRequest | None:
        os.close(os.pidfd_open(os.getpid()))  # an old kernel fails here, before READY
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
        """Forks. Returns whether this is the forked process."""
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become(request, server)
            return True
        with contextlib.suppress(OSError):  # it may have ended already
            os.setpgid(pid, pid)  # both processes do so: the group exists before `started`
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
        with contextlib.suppress(OSError):  # the other end may have closed
            self._lines.send({"ended": pid, "code": code})

    def _become(self, request: ForkRequest, server: int) -> None:
        """Sets up the forked process: group, end with the server, output, environment, name, signals."""
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
    """Returns a request in the form that the server reads."""
    return asdict(request)
