"""Runs on a Ray cluster. Each run has a placement group and, on each of its nodes, a small actor that starts the run as
a process.

The actor uses a LocalLauncher on its node: process group, log, signals and death with the parent are the same as on one
machine; Ray only chooses the nodes. On each node `train --ranks K` starts the ranks, as on any machine; the ranks of
several nodes meet at the first node. Actors are not detached: they end with the coordinator. Folders and Python must be
the same on every node (a shared file system).

Ray's processes listen on addresses that the nodes of their cluster can reach. With a cluster on the loopback address of
this machine, they listen on the loopback address only.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pld_search.errors import ConfigError, Problem, StudyError
from pld_search.records.trial_record import LaunchRecord
from pld_search.search.launchers.ray_job import Part, RayJob
from pld_search.search.launchers.ray_worker import Worker
from pld_search.specs.launcher_settings import Ray

NAMESPACE = "pld-search"
_ON = " on node "
PATIENCE = 10.0  # seconds for a survivor's node to confirm that the survivor has ended
_OF_THE_NODE = ("RAY_", "CUDA_VISIBLE_DEVICES", "HOSTNAME", "TMPDIR", "PET_")
_ELSEWHERE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # on Linux, too: 0 makes 127.0.0.1 the address of this machine's node


def open_ray(settings: Ray, ranks: int, *, gpus: bool) -> RayLauncher:
    """Connects to the cluster, for runs of `ranks` ranks; `local` starts a cluster on this machine for this process.

    Raises ConfigError without the extra or when too few nodes are large enough, StudyError when no cluster answers.
    """
    if _on_loopback(settings.address):
        os.environ.setdefault(_ELSEWHERE, "0")  # read when Ray is imported
    try:
        import ray as library
    except ImportError as error:
        raise ConfigError(Problem("launcher `ray` needs Ray: pip install 'ray>=2.50,<3'", ("launcher",))) from error
    ray: Any = library
    try:
        _reach(settings.address)  # without this, Ray would try for minutes
        ray.init(address=settings.address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise StudyError(
            f"no Ray cluster answers at {settings.address}: {reason}; start one (`ray start --head`) or name "
            "its address"
        ) from error
    each = ranks // settings.nodes
    wanted = {
        "CPU": float(settings.cpus_per_rank * each),
        **({"GPU": float(each)} if gpus else {}),
        **settings.resources,
    }
    large = [
        node
        for node in ray.nodes()
        if node["Alive"] and all(node["Resources"].get(name, 0) >= amount for name, amount in wanted.items())
    ]
    if len(large) < settings.nodes:
        ray.shutdown()
        rule = (
            "no node of the Ray cluster has room for one run"
            if settings.nodes == 1
            else f"fewer than {settings.nodes} nodes of the Ray cluster have room"
        )
        given = ", ".join(f"{amount:g} {name}" for name, amount in wanted.items())
        raise ConfigError(
            Problem(
                rule, ("ray",), allowed="what one node has", given=given + (" on each" if settings.nodes > 1 else "")
            )
        )
    return RayLauncher(ray, wanted, settings.nodes)


def _on_loopback(address: str) -> bool:
    """Whether the cluster at `address` (`auto`: at RAY_ADDRESS) is meant to be reached from this machine only."""
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", "")
    return address.rpartition(":")[0] in ("127.0.0.1", "localhost") or address == "local"


def _reach(address: str) -> None:
    """Raises OSError when nothing listens at HOST:PORT; leaves other kinds of address to Ray."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


class RayLauncher:
    """Starts runs on the connected cluster; `wanted` holds the resources of a run on each of its `nodes`, by Ray's
    names.
    """

    name = "ray"
    lasting = False

    def __init__(self, ray: Any, wanted: Mapping[str, float], nodes: int = 1) -> None:
        self._ray, self._wanted, self._nodes = ray, dict(wanted), nodes
        self._actor = ray.remote(Worker)

    def launch(self, command: Sequence[str], folder: Path, environment: Mapping[str, str], name: str) -> RayJob:
        """Starts a run; it waits while the cluster has no room. The run sees this process's environment, except
        variables of a node.
        """
        from ray.util.placement_group import placement_group

        group = placement_group(
            [self._wanted] * self._nodes, strategy="STRICT_SPREAD" if self._nodes > 1 else "STRICT_PACK", name=name
        )
        actors = [self._placed(group, name, node) for node in range(self._nodes)]
        # Ray passes the address to the `start` calls once it is known
        first = actors[0].address.remote() if self._nodes > 1 else None
        own = {word: value for word, value in os.environ.items() if not word.startswith(_OF_THE_NODE)}
        started = [
            actor.start.remote(list(command), str(folder.absolute()), {**own, **environment}, name, first)
            for actor in actors
        ]
        return RayJob(self._ray, [Part(self._ray, *each) for each in zip(actors, started, strict=True)], group, name)

    def _placed(self, group: Any, name: str, node: int) -> Any:
        """Creates the actor of a run's `node` in the bundle of that number."""
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        others = {word: amount for word, amount in self._wanted.items() if word not in ("CPU", "GPU")}
        return self._actor.options(
            name=_name_on(name, node),
            num_cpus=self._wanted["CPU"],
            num_gpus=self._wanted.get("GPU", 0),
            resources=others,
            scheduling_strategy=PlacementGroupSchedulingStrategy(
                placement_group=group, placement_group_bundle_index=node
            ),
            max_restarts=0,
        ).remote(node, self._nodes)

    def adopt(self, launch: LaunchRecord) -> None:
        """Returns None: runs on Ray end with their coordinator."""

    def end_survivors(self, launches: Collection[tuple[Path, LaunchRecord]]) -> None:
        """Ends the actors that an earlier coordinator's launches left in the cluster."""
        left = set(self._ray.util.list_named_actors())
        for _, launch in launches:
            for name in [name for name in left if name.partition(_ON)[0] == launch.job]:
                try:
                    actor = self._ray.get_actor(name)
                    self._ray.get(actor.kill.remote(), timeout=PATIENCE)
                    self._ray.kill(actor)
                except (ValueError, self._ray.exceptions.RayError):
                    continue  # it ended with its coordinator, or with its node

    def close(self) -> None:
        """Leaves the cluster, which ends everything this process started there."""
        self._ray.shutdown()


def _name_on(name: str, node: int) -> str:
    """Returns the name of the actor of a run on the run's `node`."""
    return f"{name}{_ON}{node}" if node else name
