"""The actor that starts a run on a node of a Ray cluster, by a LocalLauncher there. A run over several nodes has one
actor on each node.
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
    """The part of a run on one node. Every method runs in the worker process's main thread.

    node: number of the node among `nodes`, from 0; the first rank is on node 0.
    """

    _job: LocalJob

    def __init__(self, node: int, nodes: int) -> None:
        self._node, self._nodes = node, nodes

    def address(self) -> Address:
        """Returns the address at which the other nodes of the run find the first node, and a port that is free now."""
        from ray.util import get_node_ip_address

        own = str(get_node_ip_address())
        with socket.create_server((own, 0), family=socket.AF_INET6 if ":" in own else socket.AF_INET) as free:
            return own, int(free.getsockname()[1])

    def start(
        self, command: Sequence[str], folder: str, environment: Mapping[str, str], name: str, first: Address | None
    ) -> str:
        """Starts the command with the first node's `address` in the variables that `train --ranks` reads; returns the
        node's name.
        """
        meeting = {}
        if first is not None:
            values = {"NNODES": self._nodes, "NODE_RANK": self._node, "MASTER_ADDR": first[0], "MASTER_PORT": first[1]}
            meeting = {f"PET_{word}": str(value) for word, value in values.items()}
        # a part that has ended must not end the other parts when several nodes of a cluster share one machine
        part = f"#{self._node}" if self._nodes > 1 else ""
        self._job = LocalLauncher(part).launch(command, Path(folder), {**environment, **meeting}, name)
        return host()

    def poll(self) -> int | None:
        """Returns the exit code of the command; None while it runs."""
        return self._job.poll()

    def stop(self) -> None:
        """Asks the command to write a checkpoint and end; returns at once."""
        self._job.stop()

    def kill(self) -> None:
        """Kills the command; returns when it has ended."""
        self._job.kill()
        while self._job.poll() is None:
            time.sleep(0.01)
