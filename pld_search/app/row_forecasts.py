"""The rows of a plan: forecasts for a study's systems and its first sampled configurations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pld_search.app.run_commands import Commands
from pld_search.costs.branch_steps import branch_end
from pld_search.costs.parameters import checkpoint_bytes
from pld_search.costs.rung_steps import rung_steps, spent_between
from pld_search.errors import ConfigError
from pld_search.report.judged import architecture
from pld_search.schedules.units import parse_ratio
from pld_search.search.open_backend import backend_of
from pld_search.spaces.constraints import forecasted
from pld_search.spaces.domains import variants
from pld_search.spaces.early_stopping import Branching, EarlyStopping
from pld_search.spaces.resolve import Resolver
from pld_search.spaces.study import Study
from pld_search.specs.experiment import Experiment

TERA = 1e12


def systems(study: Study, resolver: Resolver, commands: Commands) -> Iterator[dict[str, Any]]:
    """Yields one row for each system. A tuned system is shown at the first values of its open domains. Its runs are its
    tuning trials' runs; with a grid of rates, its row's runs are added.

    `equal_to` is an earlier system of the same digest: runs of equal seeds are trained once, and `runs` counts the
    rest.
    """
    names: list[str | None] = [system.name for system in study.systems]
    seen: dict[str, tuple[str, int]] = {}
    for name in names or ([None] if study.search is None else []):
        system = study.system(name) if name is not None else None
        tune, rates = (system.tuning_trials or None, system.rates) if system is not None else (None, None)
        seeds = study.seeds_of(name)
        row = resolved(resolver, variants(study.tree_of(name))[0])
        equal_to, runs = None, (tune or 0) + seeds if rates is not None else seeds * (tune or 0)
        if not tune:
            equal_to, runs = equal_runs(seen, name or "run", row["digest"], seeds)
        yield {
            "system": name,
            "tune": tune,
            "rates": None if rates is None else list(rates),
            "budget_share": 1.0 if system is None else parse_ratio(system.tree.get("budget_share", 1.0)),
            "seeds": seeds,
            "runs": runs,
            "equal_to": equal_to,
            **row,
            "commands": commands.of_system(name),
        }


def first_batch(study: Study, resolver: Resolver, count: int, commands: Commands) -> Iterator[dict[str, Any]]:
    """Yields the configurations that the search would sample before it knows any result, at most one a slot; `problem`
    marks a configuration that would be rejected.
    """
    for number, (asked, tree) in enumerate(backend_of(study).preview(study, count)):
        row = _sampled(study, resolver, tree)
        yield {"params": asked.params, **row, "commands": commands.of_sampled(number, row.get("rungs", ()))}


def _sampled(study: Study, resolver: Resolver, tree: Any) -> dict[str, Any]:
    """Resolves a sampled configuration; returns only its `problem` when it cannot be built or violates a forecast
    constraint.
    """
    rule = study.search.early_stopping if study.search is not None else None
    try:
        row, experiment = resolved(resolver, tree), resolver.experiment(tree)
        known, row["rungs"] = resolver.forecast(experiment), rungs_of(experiment, rule) if rule is not None else []
    except ConfigError as error:
        return {"problem": str(error)}
    broken = [str(each) for each in forecasted(study.constraints, known) if each.violated]
    return {"problem": f"violates {', '.join(broken)}: rejected before training"} if broken else row


def resolved(resolver: Resolver, tree: Any) -> dict[str, Any]:
    """Returns the forecasts of a configuration. Raises ConfigError when it cannot be built."""
    experiment = resolver.experiment(tree)
    expected, profile = resolver.forecast(experiment), resolver.profile(experiment)
    return {
        "schedule": experiment.schedule.name,
        "architecture": architecture(experiment),
        "layers": experiment.model.layers,
        "growth": None if experiment.growth is None else experiment.growth.model_dump(mode="json"),
        "length": experiment.data.model_dump(mode="json")["length"],
        "sequences": experiment.batch.model_dump(mode="json")["sequences"],
        "norm": experiment.model.norm,
        "steps": experiment.steps,
        "digest": experiment.digest,
        "tokens": int(expected["forecast/tokens"]),
        "expected_layers_mean": expected["forecast/expected_layers_mean"],
        "expected_layers_end": expected["forecast/expected_layers_end"],
        "saved_block_flops": expected["forecast/saved_block_flops"],
        "theta_end": float(experiment.schedule.theta(experiment.steps, experiment.steps)),
        "tflop": expected["forecast/total_flops"] / TERA,
        "parameters": int(expected["forecast/parameters"]),
        "checkpoint_bytes": checkpoint_bytes(experiment.model, experiment.pretraining, experiment.optimizer.kind),
        "seconds": expected.get("forecast/seconds"),
        "memory_gb": expected.get("forecast/memory_gb"),
        "profile": profile.said if profile is not None else None,
    }


def equal_runs(seen: dict[str, tuple[str, int]], name: str, digest: str, seeds: int) -> tuple[str | None, int]:
    """Returns (the row whose results this row reuses, the number of its seeds to train); notes the row in `seen`."""
    first, known = seen.get(digest, (name, 0))
    seen[digest] = (first, max(known, seeds))
    return (first if known else None), max(0, seeds - known)


def rungs_of(experiment: Experiment, rule: EarlyStopping) -> list[dict[str, Any]]:
    """Returns, for each rung, share, step, TFLOP from the rung before, and steps and TFLOP of the branch that is ranked
    there (0 without a branch).

    Raises ConfigError when the run has too few steps.
    """
    found, begin = [], 0
    for share, step in zip(rule.shares, rung_steps(experiment, rule.shares), strict=True):
        end = branch_end(experiment.optimizer, step, experiment.steps) if isinstance(rule, Branching) else step
        costs = {
            "tflop": spent_between(experiment, begin, step) / TERA,
            "branch_tflop": spent_between(experiment, step, end) / TERA,
        }
        found.append({"share": float(share), "step": step, "branch_steps": end - step, **costs})
        begin = step
    return found
