"""The search over architectures: what its head comment says can be run, and rates are asked where they belong."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise

from pld_search.schedules.library import shipped
from pld_search.spaces.domains import domains_in
from pld_search.spaces.load_study import load_study

FILE = shipped("spaces")["modern-encoder"]


def sets_of_the_head() -> list[str]:
    """The `--set` arguments of the command in the head comment."""
    comment = [line.removeprefix("#") for line in FILE.read_text().splitlines() if line.startswith("#     ")]
    words = shlex.split(re.sub(r"\\\n", " ", "\n".join(comment)))
    return [value for flag, value in pairwise(words) if flag == "--set"]


def test_the_look_is_small_and_tunes_nothing() -> None:
    sets = sets_of_the_head()
    assert len(sets) == 16
    study = load_study(FILE, sets=sets)
    assert study.budget.steps == 120 and study.search is not None and study.search.trials == 6
    assert [system.tune for system in study.systems] == [None] * 5
    assert "minutes" in str(study.waive)


def test_rates_and_floors_belong_to_their_branches() -> None:
    study = load_study(FILE)
    paths = {".".join(map(str, path)) for _, _, path in domains_in(study.experiment)}
    assert {"optimizer.choice.muon.adamw.lr", "schedule.choice.falling.temporal.end"} <= paths
    assert {f"model.{key}" for key in ("layers", "hidden", "norm", "positions", "feed_forward", "bias")} <= paths
