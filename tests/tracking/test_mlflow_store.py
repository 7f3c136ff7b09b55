"""A store that a killed process left half made is made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.tracking import mlflow_store


def test_a_process_that_is_killed_while_it_makes_the_store_leaves_no_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(uri: str) -> None:
        Path(uri.removeprefix("sqlite:///")).write_bytes(b"half a database")
        raise KeyboardInterrupt

    with monkeypatch.context() as at_work:
        at_work.setattr(mlflow_store, "connected", killed)
        with pytest.raises(KeyboardInterrupt):
            mlflow_store.open_store(None, tmp_path, "small", "0123456789abcdef")
    store = mlflow_store.open_store(None, tmp_path, "small", "0123456789abcdef")
    assert store.client.get_experiment(store.experiment_id).name == "small"
    assert [path.name for path in tmp_path.glob("mlflow.db*")] == ["mlflow.db"]
