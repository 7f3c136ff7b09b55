"""The protocol of a reader that watches a study while it runs, such as a tracker or a progress display. The MLflow
mirror is one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Observer(Protocol):
    """Shows a study while it runs. Observers read files only and never raise."""

    def notice(self, folder: Path) -> None:
        """The study's files may have changed; returns at once."""

    def close(self, folder: Path) -> None:
        """The coordinator ends."""
