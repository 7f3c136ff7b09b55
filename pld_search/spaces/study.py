"""The Study value, resolved and frozen: everything that a study compares and searches, without references to files.

load_study.py reads the written form (names, places, `base:`, dotted keys). A `Study` has canonical JSON, is stored with
the study's records, and is read from them as an equal value.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from pld_search.errors import ConfigError, Problem
from pld_search.frozen import Spec
from pld_search.schedules.units import Duration, Share
from pld_search.spaces.constraints import Constraint, ConstraintText, parse
from pld_search.spaces.decide import Decide
from pld_search.spaces.domains import Choice, Number, Scalar, parameters
from pld_search.spaces.early_stopping import EarlyStopping
from pld_search.spaces.objectives import Objective, Objectives
from pld_search.spaces.waive import Waive
from pld_search.specs import limits
from pld_search.specs.build_experiment import fixed_precision
from pld_search.specs.experiment import Positive
from pld_search.specs.layer_series import Analysis
from pld_search.specs.yaml_io import Map, Seq, copied

Tree = Annotated[Any, BeforeValidator(lambda tree: tree if isinstance(tree, Map | Seq) else copied(tree))]


class Budget(Spec):
    """The budget of one run: `steps`, `tokens` (positions), `flops` or `seconds`. The last two buy the largest T that
    is expected not to exceed them.

    Without `equal`, every configuration has this budget. With `equal`, only the reference has it. Every other
    configuration gets the reference's T (`steps`), or the largest T whose expected FLOPs (`flops`) or seconds
    (`seconds`) are not above the reference's. Seconds come from each architecture's own profile, measured alone on a
    slot of the machine (costs/seconds.py).
    """

    steps: Annotated[int | None, Field(ge=1, le=limits.STEPS, description="optimizer steps")] = None
    tokens: Annotated[
        int | None, Field(ge=1, le=limits.TOKENS, description="positions read: steps x sequences x length")
    ] = None
    flops: Annotated[
        float | None, Field(gt=0, le=limits.FLOPS, description="floating-point operations of matrix products")
    ] = None
    seconds: Annotated[
        Duration | None,
        Field(le=limits.SECONDS, description="seconds of pre-training, by a calibration: `plan STUDY --calibrate`"),
    ] = None
    equal: Annotated[
        Literal["flops", "steps", "seconds"] | None,
        Field(description="what every configuration shares with the reference"),
    ] = None

    @property
    def in_seconds(self) -> bool:
        """Whether a profile decides the steps of some configuration."""
        return self.seconds is not None or self.equal == "seconds"

    @model_validator(mode="after")
    def _one_amount(self) -> Self:
        if sum(amount is not None for amount in (self.steps, self.tokens, self.flops, self.seconds)) != 1:
            raise ValueError("a budget states exactly one of steps, tokens, flops and seconds")
        return self


def _objective_form(value: Any) -> str:
    return "is several" if isinstance(value, list | tuple) else "is one"


WrittenObjectives = Annotated[
    Annotated[Objective, Tag("is one")]
    | Annotated[Annotated[tuple[Objective, ...], Field(min_length=1)], Tag("is several")],
    Discriminator(_objective_form),
]


class Until(Spec):
    """A search ends early when, with this confidence, no configuration is more than `regret` better than the
    recommended one.
    """

    regret: Annotated[
        float, Field(gt=0, description="the remaining improvement that is accepted, in the unit of the objective: 0.01")
    ]
    confidence: Annotated[Share, Field(gt=0, lt=1, description="the probability that no more remains: 90 %")] = 0.9


class Search(Spec):
    """How the open domains of the template are searched. `trials` counts sampled configurations, not systems."""

    objective: Annotated[
        WrittenObjectives, Field(description="one {minimize: METRIC} or {maximize: METRIC}, or a list of them")
    ] = Objective(minimize="valid/loss")
    constraints: Annotated[
        tuple[ConstraintText, ...],
        Field(description="NAME (<= | < | >= | > | ==) NUMBER [unit]; forecast/* before training"),
    ] = ()
    sampler: Annotated[
        Literal["auto", "gp", "tpe", "nsga2", "random", "bruteforce"],
        Field(description="how configurations are chosen"),
    ] = "auto"
    trials: Annotated[int, Field(ge=1, le=limits.TRIALS, description="sampled configurations; systems are not counted")]
    seed: Annotated[int, Field(ge=0, le=limits.SEED, description="the seed of the sampler")] = 0
    seeds: Annotated[
        int | None, Field(ge=1, le=limits.SEEDS, description="runs of a sampled configuration; None: the study's")
    ] = None
    start_with: Annotated[
        tuple[dict[str, Scalar], ...],
        Field(description=("the first configurations, values by parameter; space-filling values complete them")),
    ] = ()
    learn_from: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...],
        Field(max_length=4, description="names or folders of earlier studies that the search learns from"),
    ] = ()
    until: Annotated[
        Until | None, Field(description="the condition for an early end; None: after `trials` configurations")
    ] = None
    early_stopping: Annotated[
        EarlyStopping | None,
        Field(description="how unpromising runs are stopped at rungs, which are shares of their FLOPs"),
    ] = None

    @property
    def objectives(self) -> Objectives:
        """The objectives as one value, also if a single objective is written."""
        return Objectives(self.objective if isinstance(self.objective, tuple) else (self.objective,))

    @property
    def rungs(self) -> tuple[Decimal, ...]:
        """The shares of its FLOPs at which a sampled run is judged; empty if every run goes to its end."""
        return self.early_stopping.shares if self.early_stopping is not None else ()


class Seeds(Spec):
    """A range of runs for a configuration: `min` at first, and up to `max` for sampled configurations that may be the
    best.
    """

    min: Annotated[int, Field(ge=1, le=limits.SEEDS, description="runs of every configuration")] = 1
    max: Annotated[
        int, Field(ge=2, le=limits.SEEDS, description="runs of a sampled configuration that stays near the front")
    ]

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.max < self.min:
            raise ValueError("max lies below min")
        return self


def _seeds_form(value: Any) -> str:
    return "is a range" if isinstance(value, dict | Seeds) else "is a number"


WrittenSeeds = Annotated[
    Annotated[int, Field(ge=1, le=limits.SEEDS), Tag("is a number")] | Annotated[Seeds, Tag("is a range")],
    Discriminator(_seeds_form),
]


class Confirm(Spec):
    """Fresh seeds for the best configurations. The headline, differences, paired tests and test/loss use only these
    runs, not the search's runs.
    """

    top: Annotated[
        int,
        Field(ge=1, le=limits.TRIALS, description="number of sampled configurations; every system is confirmed, too"),
    ] = 1
    seeds: Annotated[int, Field(ge=2, le=limits.SEEDS, description="fresh runs of each, from seed index 1000 on")] = 5


class System(Spec):
    """A named row of every comparison: its complete experiment tree, and its `changes` as written."""

    name: str
    tree: Tree
    changes: Tree
    tune: Annotated[
        int | None, Field(ge=1, le=limits.TRIALS, description="trials over the domains that the system leaves open")
    ] = None
    rates: Annotated[
        tuple[float, ...] | None,
        Field(description="a grid of learning rates with a run each; the row runs at the vertex of their quadratic"),
    ] = None
    seeds: Annotated[int | None, Field(ge=1, le=limits.SEEDS, description="runs of this system; None: the study's")] = (
        None
    )

    @property
    def tuning_trials(self) -> int:
        """The number of trials that tune the system."""
        return len(self.rates) if self.rates is not None else self.tune or 0

    @property
    def parameters(self) -> dict[str, Choice | Number]:
        """The domains that the system leaves open."""
        return parameters(self.tree)


class Target(Spec):
    """The target size of the search: `set` changes the experiment and the budget; `runs` are planned at that size."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    changes: Annotated[
        Tree,
        Field(
            alias="set",
            description="changes of experiment and budget, as in --set: {model.hidden: 768, budget.steps: 200000}",
        ),
    ]
    runs: Annotated[
        int,
        Field(ge=1, le=limits.COUNT, description="runs of that size that are planned, for the payback of the search"),
    ] = 1


class Study(Spec):
    """A resolved study. `experiment` is the template's tree with its domains; `references` holds the schedules that
    `saving` names.
    """

    name: str
    about: str = ""
    experiment: Tree
    budget: Budget
    systems: tuple[System, ...] = ()
    reference: str | None = None
    seeds: Positive = 1
    most_seeds: Annotated[
        int | None,
        Field(ge=2, le=limits.SEEDS, description="runs of a sampled configuration near the front; None: `seeds`"),
    ] = None
    search: Search | None = None
    references: Tree = Map()
    target: Target | None = None
    confirm: Confirm | None = None
    decide: Decide | None = None
    waive: Waive | None = None
    analysis: Analysis | None = None
    base: Annotated[str, Field(description="the folder that relative places of the data start at")] = "."

    @property
    def objectives(self) -> Objectives:
        """The objectives of search and tuning: the search's objectives, else valid/loss."""
        return self.search.objectives if self.search is not None else Objectives((Objective(minimize="valid/loss"),))

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """The constraints of the search, parsed."""
        return tuple(parse(text) for text in self.search.constraints) if self.search is not None else ()

    @property
    def parameters(self) -> dict[str, Choice | Number]:
        """The domains that the search closes."""
        return parameters(self.experiment)

    @property
    def seed(self) -> int:
        """The seed of run 0 of every trial; run i has this seed + i."""
        return int(self.experiment.get("seed", 0))

    def system(self, name: str) -> System:
        """Returns the system of this name. Raises KeyError if there is none."""
        return {system.name: system for system in self.systems}[name]

    def tree_of(self, system: str | None) -> Any:
        """Returns the tree from which configurations of `system` are sampled (None: of the search, or of the study's
        one run).
        """
        return self.experiment if system is None else self.system(system).tree

    def seeds_of(self, system: str | None) -> int:
        """Returns the number of runs of a configuration of `system` (None: of the search)."""
        own = (
            self.system(system).seeds if system is not None else self.search.seeds if self.search is not None else None
        )
        return own or self.seeds

    @property
    def common_seeds(self) -> int:
        """The number of seeds that all systems share; 0 for a study without systems."""
        return min((self.seeds_of(system.name) for system in self.systems), default=0)

    @property
    def decides_nothing(self) -> bool:
        """Whether the study compares systems but can judge none: each has one seed, and no run confirms."""
        compares = self.reference is not None and len(self.systems) > 1
        return compares and self.confirm is None and self.common_seeds < 2

    def saving_reference(self, name: str) -> Map:
        """Returns the complete tree of a schedule that a `{saving: like NAME}` names. Raises ConfigError if there is
        none.
        """
        if name not in self.references:
            raise ConfigError(Problem("no schedule of this name was resolved with the study", given=name))
        tree: Map = self.references[name]
        return tree

    def fixed(self, device_kind: str) -> Study:
        """Returns the study with every `precision: auto` fixed for a kind of device (`cpu`, `cuda`); called once, when
        the study is created.
        """
        systems = tuple(system.model_copy(update={"tree": _fixed(system.tree, device_kind)}) for system in self.systems)
        return self.model_copy(update={"experiment": _fixed(self.experiment, device_kind), "systems": systems})

    @property
    def without_final(self) -> Study:
        """The study without `validation.final`: its final losses use as many sequences as its losses during a run."""
        systems = tuple(system.model_copy(update={"tree": _unfinal(system.tree)}) for system in self.systems)
        return self.model_copy(update={"experiment": _unfinal(self.experiment), "systems": systems})

    def definition(self) -> dict[str, Any]:
        """Returns the study as JSON values; `Study.from_definition` returns an equal study."""
        return self.model_dump(mode="json")

    @classmethod
    def from_definition(cls, definition: Mapping[str, Any]) -> Study:
        """Returns the study of a definition. Raises pydantic's ValidationError for anything else."""
        return cls.model_validate(dict(definition))


def _unfinal(tree: Map) -> Map:
    result: Map = copied(tree)
    validation = result.get("validation")
    if isinstance(validation, Map) and "final" in validation:
        del validation["final"]
        if not validation:
            del result["validation"]
    return result


def _fixed(tree: Map, device_kind: str) -> Map:
    result: Map = copied(tree)
    written = result.get("precision", "auto")
    if isinstance(written, str):
        result.put("precision", fixed_precision(written, device_kind), result.marks_of("precision"))
    return result
