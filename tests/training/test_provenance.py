"""Where a run comes from, and what it computes on."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import pld_search
from pld_search.errors import ConfigError
from pld_search.training import precision, provenance
from pld_search.training.device import compute_settings, open_device

Builder = Callable[..., Any]
CPU = torch.device("cpu")


def test_provenance_is_json_and_names_versions_and_the_commit() -> None:
    found = json.loads(json.dumps(provenance.provenance(CPU)))
    assert found["versions"]["torch"] == torch.__version__
    assert {"python", "transformers", "numpy", "pld_search"} < found["versions"].keys()
    assert found["device"].startswith("cpu")


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@t", *arguments],
        check=True,
        capture_output=True,
    )


def test_the_commit_of_a_checkout_says_when_files_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "pld_search" / "__init__.py"
    package.parent.mkdir()
    package.write_text("1")
    monkeypatch.setattr(pld_search, "__file__", str(package))
    assert provenance.commit() is None
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "one")
    clean = provenance.commit()
    assert clean is not None and len(clean) == 40
    package.write_text("2")
    assert provenance.commit() == f"{clean}+"
    monkeypatch.setenv("PATH", "")
    assert provenance.commit() is None


def test_threads_and_determinism_are_those_of_the_execution_and_come_back(execution: Builder) -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with compute_settings(execution(threads=3), CPU):
        assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (3, True)
    with compute_settings(execution(threads=None, deterministic=False), CPU):
        assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (before[0], False)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_device_that_is_not_there_is_refused(execution: Builder) -> None:
    with pytest.raises(ConfigError, match="no such device; allowed: cpu; given: cuda"):
        open_device(execution(device="cuda"))


def test_bf16_is_refused_where_the_device_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Tesla V100")
    with pytest.raises(ConfigError, match=r"Tesla V100 has no bf16 arithmetic; allowed: fp32 \| fp16"):
        precision.check("bf16", torch.device("cuda:0"))
    precision.check("fp16", torch.device("cuda:0"))
