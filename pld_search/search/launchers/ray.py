"""Runs on a Ray cluster: a placement group and a small actor each, which starts the run as a process of its node.

The actor is a LocalLauncher elsewhere: process group, log, signals and death with the parent are the same, and Ray only says where.
All ranks of a run share a node, for `train --ranks K` starts them by torch's launcher, as on any machine. Actors are not
detached: they end with the coordinator. Folders must be the same on every node (a shared file system), and so must Python.
"""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pld_search.errors import ConfigError, Problem, StudyError
from pld_search.records.trial import LaunchRecord
from pld_search.search.launchers.base import Job
from pld_search.search.launchers.local import LocalJob, LocalLauncher
from pld_search.specs.launchers import Ray

NAMESPACE = "pld-search"
KILLED = -9
PATIENCE = 10.0  # seconds for a survivor's node to confirm that it is gone
_OF_THE_NODE = ("RAY_", "CUDA_VISIBLE_DEVICES", "HOSTNAME", "TMPDIR")


class Worker:
    """The actor: starts one run on its node and answers for it. Every method runs in the worker process's main thread."""

    _job: LocalJob

    def start(self, command: Sequence[str], folder: str, environment: Mapping[str, str]) -> str:
        """Start the run; returns the node's name."""
        self._job = LocalLauncher().launch(command, Path(folder), environment)
        return os.uname().nodename

    def poll(self) -> int | None:
        return self._job.poll()

    def stop(self) -> None:
        self._job.stop()

    def kill(self) -> None:
        """Returns when the run has ended."""
        self._job.kill()
        while self._job.poll() is None:
            time.sleep(0.01)


def open_ray(settings: Ray, ranks: int, *, gpus: bool) -> RayLauncher:
    """Connect to the cluster. Raises ConfigError without the extra or where no node is large enough, StudyError where none answers."""
    try:
        import ray as library
    except ImportError as error:
        raise ConfigError(Problem("launcher `ray` needs Ray: pip install 'pld-search[ray]'", ("launcher",))) from error
    ray: Any = library
    try:
        _reach(settings.address)  # Ray itself would try for minutes
        ray.init(address=settings.address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise StudyError(f"no Ray cluster answers at {settings.address}: {reason}; start one (`ray start --head`) or name its address") from error
    wanted = {"CPU": float(settings.cpus_per_rank * ranks), **({"GPU": float(ranks)} if gpus else {}), **settings.resources}
    if not any(node["Alive"] and all(node["Resources"].get(name, 0) >= amount for name, amount in wanted.items()) for node in ray.nodes()):
        ray.shutdown()
        needs = ", ".join(f"{amount:g} {name}" for name, amount in wanted.items())
        raise ConfigError(Problem("no node of the Ray cluster has room for one run", ("ray",), allowed="what one node has", given=needs))
    return RayLauncher(ray, wanted)


def _reach(address: str) -> None:
    """Raises OSError where nothing listens at HOST:PORT; other kinds of address are left to Ray."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


class RayLauncher:
    """Starts runs on the cluster it is connected to; `wanted` is what each takes of one node, by Ray's names."""

    name = "ray"
    lasting = False

    def __init__(self, ray: Any, wanted: Mapping[str, float]) -> None:
        self._ray, self._wanted = ray, dict(wanted)
        self._actor = ray.remote(Worker)

    def launch(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Job:
        """As the interface says; the run waits where no node has room now. It sees this process's variables, but for those of a node."""
        from ray.util.placement_group import placement_group
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        job = f"{folder.name} {uuid.uuid4().hex}"
        group = placement_group([self._wanted], strategy="STRICT_PACK", name=job)
        others = {name: amount for name, amount in self._wanted.items() if name not in ("CPU", "GPU")}
        actor = self._actor.options(
            name=job,
            num_cpus=self._wanted["CPU"],
            num_gpus=self._wanted.get("GPU", 0),
            resources=others,
            scheduling_strategy=PlacementGroupSchedulingStrategy(placement_group=group),
            max_restarts=0,
        ).remote()
        own = {name: value for name, value in os.environ.items() if not name.startswith(_OF_THE_NODE)}
        return RayJob(self._ray, actor, group, job, actor.start.remote(list(command), str(folder.absolute()), {**own, **environment}))

    def adopt(self, launch: LaunchRecord) -> None:
        """Its runs end with their coordinator."""

    def end_survivors(self, launches: Collection[tuple[Path, LaunchRecord]]) -> None:
        for _, launch in launches:
            try:
                actor = self._ray.get_actor(launch.job)
                self._ray.get(actor.kill.remote(), timeout=PATIENCE)
                self._ray.kill(actor)
            except (ValueError, self._ray.exceptions.RayError):
                continue  # it ended with its coordinator, or with its node

    def close(self) -> None:
        """Leave the cluster, which ends what still runs there."""
        self._ray.shutdown()


class RayJob:
    """One actor and its run."""

    def __init__(self, ray: Any, actor: Any, group: Any, name: str, started: Any) -> None:
        self._ray, self._actor, self._group = ray, actor, group
        self._asked: Any = started  # the answer that is awaited; the first is the node's name
        self._node: str | None = None
        self._code: int | None = None
        self.trace = {"job": name}
        self.verdict: str | None = None

    @property
    def waiting(self) -> bool:
        return self._node is None

    def poll(self) -> int | None:
        if self._code is None and self._ray.wait([self._asked], timeout=0)[0]:
            try:
                self._hear(self._ray.get(self._asked))
            except self._ray.exceptions.ActorUnavailableError:
                self._ask()  # the network faltered: nothing is known to be lost
            except self._ray.exceptions.RayTaskError as error:
                self._end(1, f"crashed: the node cannot start it: {error.cause}")
            except self._ray.exceptions.RayError as error:
                self._lose(error)
        return self._code

    def _hear(self, answer: str | int | None) -> None:
        if isinstance(answer, str):
            self._node = answer
        if isinstance(answer, int):
            self._end(answer)
        else:
            self._ask()

    def _ask(self) -> None:
        self._asked = self._actor.poll.remote()

    def _lose(self, error: Exception) -> None:
        """The actor is gone, and the run with it: of the two, only the run's own process says that the run is to blame."""
        memory = isinstance(error, self._ray.exceptions.OutOfMemoryError)
        where = self._node or "the node that was to run it"
        self._end(KILLED, f"out_of_memory: Ray ended it for lack of memory on {where}" if memory else f"lost_node: {where} was lost, or Ray's worker on it")

    def _end(self, code: int, verdict: str | None = None) -> None:
        from ray.util.placement_group import remove_placement_group

        self._code, self.verdict = code, verdict
        self._ray.kill(self._actor)
        remove_placement_group(self._group)

    def stop(self) -> None:
        if self.waiting and self.poll() is None and self.waiting:
            self._end(-15, "stopped: it had not begun")
        elif self.poll() is None:
            self._actor.stop.remote()

    def kill(self) -> None:
        if self.waiting and self.poll() is None and self.waiting:
            self._end(KILLED, "stopped: it had not begun")
        elif self.poll() is None:
            self._actor.kill.remote()
