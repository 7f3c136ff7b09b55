"""The digests of every shipped study's configurations, as they were when they were first committed.

A digest is the identity of a run: what changes one makes finished runs strangers. `digests.json` is renewed line by
line, in the commit that changes a shipped study, by `python -m tests.golden.test_digests`. Data is stood in for, so a
digest here is that of the configuration as written.
"""

from __future__ import annotations

import json
from pathlib import Path

from pld_search.schedules.library import shipped
from pld_search.spaces.domains import variants
from pld_search.spaces.load_study import load_study
from pld_search.spaces.resolve import Resolver
from pld_search.specs.build_experiment import stand_in
from pld_search.specs.template import ExperimentTemplate
from pld_search.specs.validate import check

GOLDEN = Path(__file__).parent / "digests.json"


def found() -> dict[str, str]:
    """`study/row` -> digest, for the systems of every shipped study and the first configuration of every branch it
    searches.
    """
    digests: dict[str, str] = {}
    for path in shipped("spaces").values():
        study = load_study(path)
        prepared = stand_in(check(ExperimentTemplate, variants(study.tree_of(study.reference))[0]))
        resolver = Resolver(study, prepared)
        for system in study.systems:
            digests[f"{path.stem}/{system.name}"] = resolver.experiment(variants(study.tree_of(system.name))[0]).digest
        if study.search is not None:
            for number, tree in enumerate(variants(study.experiment)):
                digests[f"{path.stem}/variant-{number}"] = resolver.experiment(tree).digest
    return digests


def test_no_shipped_experiment_changed_its_digest() -> None:
    golden = json.loads(GOLDEN.read_text())
    assert len(golden) > 20
    assert found() == golden


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(found(), indent=1, sort_keys=True) + "\n")
