"""The comparison of the ranks' settings, before the first forward and after every resume.

Ranks that keep different blocks mix up the weights of different layers without an error (if the number of blocks is the
same) or wait for ever (if it is not); ranks with another experiment train on other data.
"""

from __future__ import annotations

from pld_search.errors import ConfigError, Problem
from pld_search.training.setup import Setup


def compare(setup: Setup, step: int) -> None:
    """Raises ConfigError on every rank if any rank differs in experiment, seed, plan, mode, micro-batch, threads or
    start step.
    """
    if setup.ranks.group is None:
        return
    experiment = setup.experiment
    mine = {
        "experiment": experiment.digest,
        "seed": experiment.seed,
        "plan": setup.plan.digest(),
        "mode": setup.execution.mode,
    }
    if setup.second_plan is not None:
        mine["second_plan"] = setup.second_plan.digest()
    mine |= {
        "micro_batch": None if setup.fit is None else setup.fit.size,
        "threads": setup.execution.threads,
        "from_step": step,
    }
    found = setup.ranks.gathered(mine)
    problems = [
        Problem(
            f"rank {rank} differs from rank 0; nothing was trained",
            (name,),
            allowed=str(found[0][name]),
            given=str(theirs[name]),
        )
        for rank, theirs in enumerate(found)
        for name in mine
        if theirs[name] != found[0][name]
    ]
    if problems:
        raise setup.ranks.one_voice(ConfigError(problems))
