"""What verbs do is tried through the command line where a test is about both: its fixtures serve here, too."""

from __future__ import annotations

from tests.cli.conftest import _clean_environment, call, study

__all__ = ["_clean_environment", "call", "study"]
