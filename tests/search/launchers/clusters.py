"""Real Ray clusters for tests: raylets of this machine, with small object stores and quick health checks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

STORE = 80 * 2**20
HEALTH = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 3}


class Nodes:
    """A head with `cpus` cores; nodes come and go."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self.address: str = cluster.address

    def add(self, cpus: int = 1) -> Any:
        return self._cluster.add_node(num_cpus=cpus, object_store_memory=STORE)

    def lose(self, node: Any) -> None:
        """As when a machine loses its power: nobody says goodbye."""
        self._cluster.remove_node(node, allow_graceful=False)


@contextmanager
def cluster(cpus: int) -> Iterator[Nodes]:
    """A cluster of one node. Skips the test where Ray is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    pytest.importorskip("ray", reason="Ray is not installed (the extra `ray`)")
    from ray.cluster_utils import Cluster

    head = {"num_cpus": cpus, "object_store_memory": STORE, "include_dashboard": False, "_system_config": HEALTH}
    found = Cluster(initialize_head=True, head_node_args=head)
    try:
        yield Nodes(found)
    finally:
        found.shutdown()
