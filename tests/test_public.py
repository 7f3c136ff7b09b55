"""What scripts of others call is frozen: names, arguments and defaults. A change here is a change of every one of those
scripts.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import pld_search
from pld_search.api.results import Results
from pld_search.compat import ProgressiveLayerDrop
from pld_search.costs.expected_depth import Expected
from pld_search.costs.forecast_answer import forecast
from pld_search.costs.run_cost import Forecast
from pld_search.hf import LayerDrop
from pld_search.model.attach.layer_drop import Drop

NAMES = {"Schedule", "__version__", "attach", "compat", "errors", "forecast", "hf", "load_schedule", "results", "run"}
FROZEN: dict[str, tuple[Any, str]] = {
    "load_schedule": (pld_search.load_schedule, "(source, *, layers=None, steps=None, sets=(), flops=None)"),
    "Schedule.keep_probabilities": (pld_search.Schedule.keep_probabilities, "(self, step, total, layers)"),
    "Schedule.theta": (pld_search.Schedule.theta, "(self, step, total)"),
    "Schedule.plot": (pld_search.Schedule.plot, "(self, steps=10000, layers=12)"),
    "Schedule.to_yaml": (pld_search.Schedule.to_yaml, "(self)"),
    "Results.to_frame": (Results.to_frame, "(self, *, means=False)"),
    "Results.curves": (Results.curves, "(self, *names)"),
    "forecast": (forecast, "(schedule, *, steps, layers=None, groups=None, experiment=None)"),
    "run": (pld_search.run, "(study, *, sets=(), runs=None, machine=None, tracking_uri=None, storage=None, tell=None)"),
    "results": (pld_search.results, "(study, *, runs=None)"),
    "attach": (
        pld_search.attach,
        "(model, schedule, *, steps, rescale=None, skipped=None, seed=0, groups=1, sequences=None, first_step=0, "
        "blocks=None, written_for=None)",
    ),
    "Drop.step": (Drop.step, "(self, step, group=0, first=0)"),
    "Drop.open": (Drop.open, "(self, step, group=0, first=0)"),
    "Drop.check": (Drop.check, "(self)"),
    "Drop.close": (Drop.close, "(self)"),
    "Drop.theta": (Drop.theta, "(self, step)"),
    "Drop.layers_kept": (Drop.layers_kept, "(self, step)"),
    "Drop.detach": (Drop.detach, "(self)"),
    "Drop.digest": (Drop.digest, "(self)"),
    "hf.LayerDrop": (
        LayerDrop,
        "(schedule, *, rescale=None, skipped=None, seed=None, groups=1, blocks=None, written_for=None)",
    ),
    "compat.ProgressiveLayerDrop": (ProgressiveLayerDrop, "(theta=0.5, gamma=0.001)"),
    "compat.ProgressiveLayerDrop.get_state": (ProgressiveLayerDrop.get_state, "(self)"),
    "compat.ProgressiveLayerDrop.get_theta": (ProgressiveLayerDrop.get_theta, "(self)"),
    "compat.ProgressiveLayerDrop.update_state": (ProgressiveLayerDrop.update_state, "(self, global_step)"),
}


@pytest.mark.parametrize("name", FROZEN)
def test_a_signature(name: str) -> None:
    found, expected = FROZEN[name]
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in inspect.signature(found).parameters.values()
    ]
    assert str(inspect.Signature(parameters)) == expected
    assert inspect.getdoc(found)


def test_what_an_attached_model_has() -> None:
    drop = {name for name in vars(Drop) if not name.startswith("_")}
    assert drop == {name.removeprefix("Drop.") for name in FROZEN if name.startswith("Drop.")}


def test_the_names() -> None:
    assert set(pld_search.__all__) == NAMES
    assert set(dir(pld_search)) == NAMES
    assert all(getattr(pld_search, name) is not None for name in NAMES)
    assert pld_search.hf.LayerDrop is LayerDrop
    assert pld_search.compat.ProgressiveLayerDrop is ProgressiveLayerDrop
    with pytest.raises(AttributeError, match="nonsense"):
        _ = pld_search.nonsense


VALUES: dict[type, set[str]] = {
    Expected: {
        *(
            "steps",
            "layers",
            "groups",
            "keep_probabilities_mean",
            "keep_probabilities_end",
            "expected_layers_mean",
            "expected_layers_end",
        ),
        *("existing_layers_mean", "touched_layers_mean", "layers_std", "saved_block_flops"),
    },
    Results: {"folder", "rows", "comparison", "records"},
}
VALUES[Forecast] = VALUES[Expected] | {
    *(
        "tokens",
        "attention_flops",
        "feed_forward_flops",
        "block_flops",
        "head_flops",
        "rest_flops",
        "total_flops",
        "step_flops_std",
        "saved_flops",
    )
}


@pytest.mark.parametrize("value", VALUES)
def test_what_an_answer_has(value: type) -> None:
    """Fields may be added; none goes, and each is described."""
    names = {field.name for field in fields(value)}
    assert names >= VALUES[value]
    described = "".join(inspect.getdoc(each) or "" for each in (forecast, *value.__mro__[:-1]))
    assert not {name for name in names if name not in described}


def test_a_schedule_shows_and_writes_itself(tmp_path: Path) -> None:
    schedule = pld_search.load_schedule({"base": "pld", "temporal.end": 0.7})
    text = schedule.to_yaml()
    assert "end: 0.7" in text
    (tmp_path / "mine.yaml").write_text(text)
    assert pld_search.load_schedule(tmp_path / "mine.yaml").keep_grid(50, 100, 4).tolist() == (
        schedule.keep_grid(50, 100, 4).tolist()
    )
    picture = schedule.plot(steps=100, layers=4)
    picture.save(tmp_path / "mine.pdf")
    assert (tmp_path / "mine.pdf").read_bytes().startswith(b"%PDF")
    assert picture._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(pld_search.errors.ConfigError, match="run"):
        schedule.model_copy(update={"run": "7 steps"}).plot(steps=100)


def test_importing_the_package_loads_nothing() -> None:
    code = (
        "import sys, pld_search; print(sorted({'torch', 'transformers', 'numpy', 'pydantic', 'yaml', 'rich', "
        "'typer'} & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_schedules_and_forecasts_load_no_torch() -> None:
    code = (
        "import sys, pld_search, pld_search.compat\npld_search.forecast(pld_search.load_schedule('pld'), "
        "steps=9, layers=3)\nprint('torch' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        == "False"
    )
