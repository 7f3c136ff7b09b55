"""Studies whose schedules have a base: what a change does to it, and where a refusal stands that needs both."""

from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.costs.load_schedule import load_schedule
from pld_search.errors import ConfigError
from pld_search.spaces.load_study import load_study
from pld_search.specs.yaml_io import plain

STUDY = """\
experiment:
  model: {{layers: 4, hidden: 32, heads: 4}}
  data: {{train: demo, tokenizer: {{train: wordpiece, vocabulary: 512}}, length: 32}}
  batch: {{sequences: 8}}
  optimizer: {{lr: 1e-3}}
  schedule: {template}
budget: {{steps: 10}}
systems:
  one: {system}
"""
_FLOOR = (
    "a rescale divides by the keep probability, so no `temporal` keep rate may fall below 2^-32; a floor of 0 "
    "needs `rescale: none` or `evaluation`"
)
_WHOLE = (
    "a saving stands in place of one number of a schedule, not of the whole; allowed: temporal.end: {saving: 25 "
    "% of blocks}"
)
_LOWEST = "with `draw.kind: lowest` a layer runs or does not, so there is no probability to rescale by; `rescale: none`"


def written(folder: Path, template: str, system: str) -> Path:
    file = folder / "s.yaml"
    file.write_text(STUDY.format(template=template, system=system))
    return file


def refused(file: Path, *sets: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_study(file, sets)
    return [str(problem).replace(f"{file}:", "") for problem in caught.value.problems]


REFUSED = {
    "a change of a base": (
        "{base: pld, temporal.end: 0}",
        "{}",
        f"6:39: experiment.schedule.temporal.end: {_FLOOR} (see also rescale of pld)",
    ),
    "a system's change": (
        "pld",
        "{schedule.temporal.end: 0}",
        f"9:32: systems.one.schedule.temporal.end: {_FLOOR} (see also rescale of pld)",
    ),
    "a lowest draw": (
        "full",
        "{schedule: {base: pld, draw: {kind: lowest, per: group, unit: layer}}}",
        f"9:44: systems.one.schedule.draw.kind: {_LOWEST} (see also rescale of pld)",
    ),
    "a saving of the whole": ("{saving: 25 % of blocks}", "{}", f"6:14: experiment.schedule.saving: {_WHOLE}"),
    "a saving of a system's whole": (
        "pld",
        "{schedule: {saving: like pld}}",
        f"9:20: systems.one.schedule.saving: {_WHOLE}",
    ),
    "a saving of a branch's whole": (
        "{choice: {b: {saving: like pld}}}",
        "{tune: 1}",
        f"6:27: experiment.schedule.choice.b.saving: {_WHOLE}",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_stands_where_its_user_wrote(case: str, tmp_path: Path) -> None:
    template, system, said = REFUSED[case]
    assert said in refused(written(tmp_path, template, system))


def test_a_refusal_of_a_set_or_of_a_bound_of_a_domain_stands_there(tmp_path: Path) -> None:
    file = written(tmp_path, "pld", "{schedule: full}")
    assert refused(file, "systems.one.schedule={base: pld, temporal.end: 0}") == [
        f"--set:1:48: systems.one.schedule.temporal.end: {_FLOOR} (see also rescale of pld)"
    ]
    (said,) = refused(file, "systems.one={schedule: {base: pld, temporal.end: {float: [0, 0.5]}}, tune: 2}")
    assert said.startswith("--set:1:59: systems.one.schedule.temporal.end.float[0]: a rescale divides")


def test_a_shipped_study_changed_by_a_set_is_refused_at_the_set(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"^--set:1:1: experiment.batch: sequences \(64\) must be a multiple of groups \(3\)"
    ):
        load_study("demo", ["batch.groups=3"])
    with pytest.raises(ConfigError, match=r"^--set:1:14: temporal.end: a rescale divides"):
        load_schedule("pld", sets=["temporal.end=0"])


def test_a_broken_base_of_ones_own_is_refused_where_it_is_broken(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("base: pld\ntemporal.end: 2\n")
    said = refused(written(tmp_path, "{base: ./mine.yaml, rescale: none}", "{}"))
    assert said[0].startswith(
        f"{tmp_path / 'mine.yaml'}:2:15: experiment.schedule.temporal.end: a share lies in [0, 1]"
    )


@pytest.mark.parametrize("change", ["{schedule: pld}", "{schedule: {base: pld}}"])
def test_naming_a_base_starts_afresh(change: str, tmp_path: Path) -> None:
    study = load_study(written(tmp_path, "{base: pld, temporal.end: 0.3, rescale: none}", change))
    schedule = study.system("one").tree["schedule"]
    assert (schedule["temporal"]["end"], schedule["rescale"]) == (0.5, "sublayer")


@pytest.mark.parametrize("base", ["", "base: pld, "])
def test_a_new_kind_starts_its_block_afresh_also_over_a_base(base: str, tmp_path: Path) -> None:
    change = "{schedule: {" + base + "temporal: {kind: constant, value: 0.7}}}"
    file = written(tmp_path, "{base: pld, temporal.end: 0.3}", change)
    assert plain(load_study(file).system("one").tree["schedule"]["temporal"]) == {"kind": "constant", "value": 0.7}
    by_set = load_study(file, ["schedule.temporal={kind: constant, value: 0.6}", "systems.one={}"])
    assert plain(by_set.experiment["schedule"]["temporal"]) == {"kind": "constant", "value": 0.6}


def test_a_kind_that_the_base_has_is_not_new(tmp_path: Path) -> None:
    study = load_study(
        written(tmp_path, "{base: pld, temporal.end: 0.3}", "{schedule.temporal: {kind: exponential, rate: 7 / run}}")
    )
    assert plain(study.system("one").tree["schedule"]["temporal"]) == {
        "kind": "exponential",
        "start": 1.0,
        "end": 0.3,
        "rate": "7 / run",
    }
