"""What scripts of others call is frozen: names, arguments and defaults. A change here is a change of every one of those scripts."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest

import pld_search
from pld_search.compat import ProgressiveLayerDrop
from pld_search.hf import LayerDrop
from pld_search.model.attach.drop import Drop

ATTACHED: dict[str, tuple[Any, str]] = {
    "attach": (
        pld_search.attach,
        "(model, schedule, *, steps, rescale=None, skipped=None, seed=0, groups=1, sequences=None, first_step=0, blocks=None)",
    ),
    "Drop.step": (Drop.step, "(self, step, group=0, first=0)"),
    "Drop.open": (Drop.open, "(self, step, group=0, first=0)"),
    "Drop.check": (Drop.check, "(self)"),
    "Drop.close": (Drop.close, "(self)"),
    "Drop.theta": (Drop.theta, "(self, step)"),
    "Drop.layers_kept": (Drop.layers_kept, "(self, step)"),
    "Drop.detach": (Drop.detach, "(self)"),
    "hf.LayerDrop": (LayerDrop, "(schedule, *, rescale=None, skipped=None, seed=None, groups=1, blocks=None)"),
    "compat.ProgressiveLayerDrop": (ProgressiveLayerDrop, "(theta=0.5, gamma=0.001)"),
    "compat.ProgressiveLayerDrop.get_state": (ProgressiveLayerDrop.get_state, "(self)"),
    "compat.ProgressiveLayerDrop.get_theta": (ProgressiveLayerDrop.get_theta, "(self)"),
    "compat.ProgressiveLayerDrop.update_state": (ProgressiveLayerDrop.update_state, "(self, global_step)"),
}


@pytest.mark.parametrize("name", ATTACHED)
def test_a_signature(name: str) -> None:
    found, expected = ATTACHED[name]
    parameters = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in inspect.signature(found).parameters.values()]
    assert str(inspect.Signature(parameters)) == expected
    assert inspect.getdoc(found)


def test_what_an_attached_model_has() -> None:
    drop = {name for name in vars(Drop) if not name.startswith("_")}
    assert drop == {name.removeprefix("Drop.") for name in ATTACHED if name.startswith("Drop.")}


def test_importing_the_package_loads_nothing() -> None:
    code = "import sys, pld_search, pld_search.compat; print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
