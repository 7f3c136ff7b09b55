"""Whole families as domains at one fixed saving: whatever the search chooses of the other numbers, every configuration
saves the same.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.schedules.temporal import Temporal
from pld_search.spaces.domains import close
from pld_search.spaces.load_study import load_study
from pld_search.spaces.resolve import Resolver, forecast_of
from pld_search.specs.build_experiment import stand_in
from pld_search.specs.template import ExperimentTemplate
from pld_search.specs.validate import check
from tests.spaces.broken import GOOD

SAVING = "{saving: 25 % of blocks}"
FAMILIES = {
    "constant": f"{{base: random, temporal.value: {SAVING}}}",
    "linear": f"{{base: pld, temporal: {{kind: linear, start: {{float: [0.8, 1.0]}}, end: {SAVING}}}}}",
    "exponential": f"{{base: pld, temporal.rate: {{log: [20 / run, 1000 / run]}}, temporal.end: {SAVING}}}",
    "exponential-growth": f"{{base: layerdrop, temporal: {{kind: exponential-growth, start: {{float: [0.8, 1.0]}}, end: "
    f"{SAVING}}}}}",
    "cosine": f"{{base: raptr, depth.kind: alternate, depth.layers: odd, temporal: {{kind: cosine, start: {SAVING}, "
    f"end: {{float: [0.4, 0.6]}}}}}}",
    "polynomial": f"{{base: pld, temporal: {{kind: polynomial, start: 1.0, end: {{float: [0.3, 0.5]}}, power: {SAVING}}}}}",
    "stages": f"{{base: raptr, temporal.stages: {{0 %: {SAVING}, 25 %: {{float: [0.6, 0.8]}}, 50 %: 0.8, 75 %: 1.0}}}}",
    "table": f"{{base: layerdrop, temporal: {{kind: table, between: linear, points: {{0 %: 1.0, 50 %: {SAVING}, 100 "
    f"%: {{float: [0.6, 1.0]}}}}}}}}",
    "phases": f"{{base: layerdrop, temporal: {{kind: phases, phases: [{{until: 10 %, temporal: {{kind: constant, "
    f"value: 1.0}}}}, "
    f"{{until: 100 %, temporal: {{kind: linear, start: {SAVING}, end: 1.0}}}}]}}}}",
}
STUDY = (
    GOOD[: GOOD.index("  schedule:\n")].replace("layers: 4", "layers: 12").replace("{log: [1e-4, 1e-2]}", "1e-3")
    + "  schedule:\n    choice:\n"
    + "".join(f"      {name}: {text}\n" for name, text in FAMILIES.items())
    + "      file: {base: ./mine.yaml}\nbudget: {steps: 1000}\nsearch: {trials: 3}\n"
)


def test_every_temporal_family_is_there() -> None:
    kinds = {member.model_fields["kind"].default for member in Temporal.__origin__.__args__}  # type: ignore[attr-defined]
    assert kinds == set(FAMILIES)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_a_whole_family_at_one_fixed_saving(tmp_path: Path, share: float) -> None:
    (tmp_path / "mine.yaml").write_text(f"base: td-only\ntemporal.end: {SAVING}\n")
    (tmp_path / "study.yaml").write_text(STUDY)
    found = load_study(tmp_path / "study.yaml")
    seen = {}
    for name in (*FAMILIES, "file"):
        chosen = {"schedule": name}
        for path, parameter in found.parameters.items():
            if path.startswith(f"schedule.{name}."):
                low, high = parameter.low, parameter.high
                chosen[path] = low + share * (high - low)
        tree = close(found.experiment, chosen)
        experiment = Resolver(found, stand_in(check(ExperimentTemplate, tree))).experiment(tree)
        seen[name] = forecast_of(experiment).expected_layers_mean / 12
        assert (
            experiment.schedule.name == name if name != "file" else experiment.schedule.temporal.kind == "exponential"
        )
    assert seen == pytest.approx(dict.fromkeys(seen, 0.75), abs=1e-6)
    assert len(seen) == 10
