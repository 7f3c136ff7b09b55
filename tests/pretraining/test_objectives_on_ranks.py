"""Every objective on two gloo ranks, sharded and replicated, against one process: one launch for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pld_search.costs.load_schedule import load_schedule
from tests.training.rank_bench import SERIES, Bench, Builder, assert_close

pytestmark = pytest.mark.timeout(600)
_DROPS = load_schedule({"base": "pld", "skipped": "decay"}).model_dump(mode="json")
_GROWS = {"sequences": {"0 %": 4, "50 %": 8}, "groups": 2}
RUNS: dict[str, dict[str, Any]] = {
    "mlm+nsp": {"pretraining": "mlm+nsp"},
    "electra": {"pretraining": "electra"},
    "electra that drops layers of both, in growing batches": {
        "pretraining": {"kind": "electra", "generator": {"width": 0.5, "schedule": _DROPS}},
        "batch": _GROWS,
    },
}
METRICS = {
    "mlm+nsp": ("valid/mlm_loss", "valid/nsp_loss", "valid/nsp_accuracy"),
    "electra": ("valid/mlm_loss", "valid/rtd_loss", "valid/rtd_f1"),
}
MODES = ("shard", "replicate")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, experiment: Builder, execution: Builder) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("two"), experiment, execution)
    for kind, changes in RUNS.items():
        for mode in MODES:
            bench.add(f"{kind} {mode}", bench.spec(10, **changes), bench.how(mode=mode, micro_batch=2))
    bench.run(2)
    yield bench


@pytest.mark.parametrize("kind", RUNS)
def test_two_ranks_learn_what_one_process_learns(two: Bench, kind: str) -> None:
    alone = two.alone(f"{kind} alone", two.spec(10, **RUNS[kind]))
    assert alone.state == "finished"
    for mode in MODES:
        assert_close(alone, two.record(f"{kind} {mode}"), names=(*SERIES, *METRICS[kind.split()[0]]))
