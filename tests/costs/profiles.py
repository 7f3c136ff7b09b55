"""Profiles made up for tests: round costs, so that every sum can be done by hand."""

from __future__ import annotations

from typing import Any

from pld_search.costs.profile import Profile, Setting

SETTING = Setting(device="cpu (a test, 2 cores)", threads=1, versions={"pld_search": "0", "torch": "0"})
ARCHITECTURE = "sha256:" + "a" * 64


def profile(architecture: str = ARCHITECTURE, setting: Setting = SETTING, **changes: Any) -> Profile:
    """Half a second of fixed work, 0.25 s a layer (0.15 of attention, 0.1 of feed-forward), 0.01 s to update
    one; 2 GB.
    """
    values: dict[str, Any] = {
        "architecture": architecture,
        "about": "a test",
        "setting": setting,
        "seconds_attention": 0.15,
        "seconds_feed_forward": 0.1,
        "seconds_update": 0.01,
        "seconds_fixed": 0.5,
        "seconds_start": 3.0,
        "bytes": 2_000_000_000,
        "spread": 0.02,
        "rounds": 5,
        "measured": "2026-03-01T12:30:00+00:00",
    }
    return Profile(**{**values, **changes})
