"""The small corpus and the experiments of tests/training, and one thread."""

from __future__ import annotations

from tests.training.conftest import _one_thread, execution, experiment, prepared  # noqa: F401  # fixtures
