"""The facts of a study: name, state, budget, objective, reference, corpus and provenance, read once for every view."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pld_search.records.definition import StudyDefinition
from pld_search.records.run_record import RunRecord
from pld_search.records.status import run_status
from pld_search.records.study_events import ContrastFixed
from pld_search.records.study_record import StudyView
from pld_search.records.trial_record import confirms
from pld_search.records.winner import Winner, winner
from pld_search.spaces.decide import Decide, decision
from pld_search.spaces.objectives import Objectives
from pld_search.specs.metrics import is_downstream
from pld_search.statistics.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Summary:
    """The facts above the tables. entropy: the unigram entropy of the training tokens in nats, None when not recorded.

    decide: the settings of the verdicts. post_hoc: whether `decide` was changed after the first launch. looks: number
    of declared looks. late_looks: whether looks were declared after results had been seen. looked: for each decided row
    its look and verdict. contrast: fixed before the fresh seeds ran, None without a confirmation. waived: the author's
    waivers with reasons. majority: the scores of always predicting the commonest label.
    """

    name: str
    identifier: str
    state: str
    systems: tuple[str, ...]
    reference: str | None
    objectives: Objectives
    budget: str
    equal: str | None
    states: dict[str, int]
    entropy: float | None
    confirmed: bool
    decide: Decide
    post_hoc: bool
    looks: int
    late_looks: bool
    looked: Mapping[str, tuple[int, Verdict]]
    winner: Winner | None
    contrast: ContrastFixed | None
    seconds: float
    tflop: float
    provenance: dict[str, Any]
    execution: dict[str, Any]
    corpus: dict[str, Any]
    waived: dict[str, str]
    majority: dict[str, float]

    @property
    def objective(self) -> str:
        """The metric that orders the rows: the first objective."""
        return self.objectives.first.metric


def summary(view: StudyView) -> Summary:
    """Reads the facts of a study from its records."""
    definition = view.study.definition
    first = next((run for run in view.runs.values() if run.started), RunRecord())
    objectives, first_run = Objectives.of_definition(definition.tree), view.study.at_first_run
    return Summary(
        name=view.study.name or view.folder.name,
        identifier=view.study.id,
        state=_state(view),
        systems=definition.systems,
        reference=definition.reference,
        objectives=objectives,
        budget=budget_text(definition),
        equal=definition.equal,
        states=dict(
            Counter(run_status(view.study.trials[trial], index, run).state for (trial, index), run in view.runs.items())
        ),
        entropy=unigram_entropy(view, first),
        confirmed=any(confirms(index) and run.state == "finished" for (_, index), run in view.runs.items()),
        decide=decision(definition.tree),
        post_hoc=first_run is not None and decision(first_run.tree) != decision(definition.tree),
        looks=view.study.looks.most if view.study.looks is not None else 1,
        late_looks=view.study.looks is not None and view.study.looks.post_hoc,
        looked=_decided(view),
        winner=winner(view.study, objectives.first.sign, is_downstream(objectives.first.metric)),
        contrast=view.study.contrast,
        seconds=_spent(view, "progress/seconds"),
        tflop=_spent(view, "progress/tflop"),
        provenance=dict(first.provenance),
        execution=dict(first.execution),
        corpus=corpus_of(view, first),
        majority=view.study.prepared.majority if view.study.prepared is not None else {},
        waived={key: str(why) for key, why in (definition.tree.get("waive") or {}).items() if why},
    )


def _decided(view: StudyView) -> dict[str, tuple[int, Verdict]]:
    """Returns the first look at which each row was decided: a decided row stays decided."""
    found: dict[str, tuple[int, Verdict]] = {}
    for event in view.study.looked:
        for row, word in event.verdicts.items():
            if Verdict(word) is not Verdict.UNDECIDED:
                found.setdefault(row, (event.look, Verdict(word)))
    return found


def _spent(view: StudyView, name: str) -> float:
    """Returns a sum over runs and their ranking branches; a run whose result is reused counts once."""
    runs = [run for (trial, index), run in view.runs.items() if index not in view.study.trials[trial].reused]
    return sum(run.final.get(name, 0.0) for run in (*runs, *view.branches.values()))


def _state(view: StudyView) -> str:
    if view.study.completed:
        return "complete"
    if view.study.created is None:
        return "not started"
    return "paused" if view.study.paused else "in progress"


def budget_text(definition: StudyDefinition) -> str:
    """Formats the budget: `400 steps of full, every other row at equal FLOPs`."""
    kinds = [
        f"{value:,} {key}" if isinstance(value, int) else f"{value} {key}"
        for key, value in definition.budget.items()
        if value is not None
    ]
    text, reference = ", ".join(kinds), definition.reference
    if definition.equal == "flops":
        return f"{text} of {reference}, every other row at equal FLOPs" if reference else f"{text}, at equal FLOPs"
    return text


def corpus_of(view: StudyView, run: RunRecord) -> dict[str, Any]:
    """Returns the corpus statistics that a run recorded, or the prepared ones before any run has."""
    prepared = view.study.prepared
    return dict(run.corpus or (prepared.statistics if prepared is not None else {}))


def unigram_entropy(view: StudyView, run: RunRecord) -> float | None:
    """Returns the unigram entropy in nats a token: the loss of a guess by frequency, without context."""
    value = corpus_of(view, run).get("unigram_entropy")
    return float(value) if isinstance(value, int | float) else None
