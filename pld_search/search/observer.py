"""Who may look at a study while it runs: a tracker, a progress display. The mirror in MLflow is one."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Observer(Protocol):
    """Shows a study while it runs. Observers read files only and never raise."""

    def notice(self, folder: Path) -> None:
        """The study's files may have changed; returns at once."""

    def close(self, folder: Path) -> None:
        """The coordinator ends."""
