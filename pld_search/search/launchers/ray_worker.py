"""The actor that starts a run on a node of a Ray cluster: a LocalLauncher elsewhere. A run over several nodes has one
on each.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pld_search.host.processes import host
from pld_search.search.launchers.local import LocalJob, LocalLauncher

Address = tuple[str, int]


class Worker:
    """What is on its node of one run. Every method runs in the worker process's main thread.

    `node` of `nodes`, from 0, which the first rank is on.
    """

    _job: LocalJob

    def __init__(self, node: int, nodes: int) -> None:
        self._node, self._nodes = node, nodes

    def address(self) -> Address:
        """Where the other nodes of the run find the first: its address, and a port that is free now."""
        from ray.util import get_node_ip_address

        own = str(get_node_ip_address())
        with socket.create_server((own, 0), family=socket.AF_INET6 if ":" in own else socket.AF_INET) as free:
            return own, int(free.getsockname()[1])

    def start(
        self, command: Sequence[str], folder: str, environment: Mapping[str, str], name: str, first: Address | None
    ) -> str:
        """Start the command, the first node's `address` in the variables that `train --ranks` reads; returns the
        node's name.
        """
        meeting = {}
        if first is not None:
            values = {"NNODES": self._nodes, "NODE_RANK": self._node, "MASTER_ADDR": first[0], "MASTER_PORT": first[1]}
            meeting = {f"PET_{word}": str(value) for word, value in values.items()}
        # a part that has ended leaves the others alone, also where several nodes of a cluster are on one machine
        part = f"#{self._node}" if self._nodes > 1 else ""
        self._job = LocalLauncher(part).launch(command, Path(folder), {**environment, **meeting}, name)
        return host()

    def poll(self) -> int | None:
        """The exit code of the command; None while it runs."""
        return self._job.poll()

    def stop(self) -> None:
        """Ask the command to write a checkpoint and end; returns at once."""
        self._job.stop()

    def kill(self) -> None:
        """Returns when the command has ended."""
        self._job.kill()
        while self._job.poll() is None:
            time.sleep(0.01)
