"""The model card of an exported model: its architecture, training, data and results, from the run's own events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pld_search.costs.positions import positions_read
from pld_search.records.run_record import RunRecord
from pld_search.report.layer_tables import elasticity_lines
from pld_search.report.number_text import number, percent
from pld_search.schedules.staged_values import stages_of, stages_text
from pld_search.specs.experiment import Experiment
from pld_search.specs.metrics import is_downstream
from pld_search.specs.yaml_io import dump

_TOTALS = ("saved/flops", "saved/block_flops", "drop/layers_kept")
_PEOPLE = ("about", "source")


@dataclass(frozen=True, slots=True)
class Card:
    """The contents of a card. step: completed steps of the weights. kept: the remaining layers, of `layers` (None:
    all).

    losses: validation loss of the whole network and of the subnetwork. notes: sentences about this export.
    """

    title: str
    architecture: str
    layers: int
    kept: Sequence[int] | None = None
    losses: tuple[float, float] | None = None
    experiment: Experiment | None = None
    record: RunRecord | None = None
    step: int | None = None
    notes: Sequence[str] = field(default=())


def model_card(card: Card) -> str:
    """Returns the card as Markdown with the front matter of the hub."""
    parts: list[Iterable[str]] = [_head(card), _subnetwork(card)]
    if card.experiment is None:
        parts.append(
            [
                "## Training",
                "",
                "Exported from a checkpoint without the records of a run: how it was trained is not known.",
            ]
        )
    else:
        parts += [
            _training(card, card.experiment),
            _data(card, card.experiment),
            _results(card, card.experiment),
            _elasticity(card),
        ]
    return "\n\n".join("\n".join(lines) for part in parts if (lines := list(part))) + "\n"


def _head(card: Card) -> Iterator[str]:
    yield from (
        "---",
        "library_name: transformers",
        "pipeline_tag: fill-mask",
        "tags: [masked-lm, layer-dropping]",
        "---",
        "",
        f"# {card.title}",
        "",
    )
    layers = f"{card.layers} layers" if card.kept is None else f"{len(card.kept)} of {card.layers} layers"
    yield f"A `{card.architecture}` of {layers}, exported by pld-search. It loads without pld-search:"
    yield from ("", "```python", "from transformers import AutoModelForMaskedLM, AutoTokenizer", "")
    yield from (
        'tokenizer = AutoTokenizer.from_pretrained("FOLDER")',
        'model = AutoModelForMaskedLM.from_pretrained("FOLDER")',
        "```",
    )
    for note in card.notes:
        yield from ("", note)


def _subnetwork(card: Card) -> Iterator[str]:
    if card.kept is None:
        return
    yield from ("## Subnetwork", "")
    several = len(card.kept) > 1
    which = (
        f"Layer{'s' if several else ''} {', '.join(map(str, card.kept))} of {card.layers} (counted from 1) "
        f"{'were' if several else 'was'} kept"
    )
    yield f"{which}; the others were left out without further training."
    if card.losses is None:
        yield "What that costs was not measured."
        return
    whole, part = card.losses
    yield from (
        "",
        "| network | validation loss (nats) |",
        "|---|---|",
        f"| {card.layers} layers | {number(whole, 4)} |",
    )
    yield f"| {len(card.kept)} layer{'s' if len(card.kept) > 1 else ''} | {number(part, 4)} |"
    yield from ("", "The results below are those of the whole network.")


def _training(card: Card, experiment: Experiment) -> Iterator[str]:
    model, optimizer, schedule = experiment.model, experiment.optimizer, experiment.schedule
    yield from ("## Training", "")
    at = "" if card.step in (None, experiment.steps) else f"; these weights are those after step {card.step:,}"
    data = experiment.data
    tokens = positions_read(data, experiment.batch, experiment.steps)
    sequences = ">".join(f"{size:,}" for size in experiment.batch.sizes)
    yield (
        f"- budget: {experiment.steps:,} steps of {sequences} sequences of "
        f"{stages_text(data.length)} ({tokens:,} positions){at}"
    )
    final = card.record.final if card.record is not None else {}
    if "progress/tflop" in final:
        yield f"- executed: {final['progress/tflop']:,.3g} TFLOP of matrix products"
    architecture = ", ".join(
        (f"{model.heads} heads", f"{model.norm}-norm", *model.said, f"{model.vocabulary:,} tokens")
    )
    yield f"- model: {model.layers} layers of {model.hidden}, {architecture}"
    if model.checkpoint is not None:
        yield f"- started from a checkpoint with the content digest `{model.checkpoint}`"
    kind = (
        "AdamW"
        if optimizer.adamw is None
        else f"Muon for the layers' matrices, AdamW at {optimizer.adamw.lr:g} for the rest"
    )
    shape = (
        f"{kind}, peak learning rate {optimizer.lr:g}, {optimizer.shape}, warm-up {optimizer.warmup}, weight "
        f"decay {optimizer.weight_decay:g}"
    )
    yield f"- optimizer: {shape}, clip {optimizer.clip:g}; {experiment.precision}"
    if model.positions == "learned" and model.checkpoint is None and data.final_length < model.max_length:
        yield f"- positions beyond {data.final_length} were never trained, though the table has {model.max_length}"
    rates = stages_of(data.masking.rate)
    later = "".join(f", {percent(rate, 0)} from {place} of the run on" for place, rate in rates[1:])
    yield f"- masked positions: {percent(rates[0][1], 0)}{later}"
    yield f"- run: `{experiment.digest}`, seed {experiment.seed}{_versions(card.record)}"
    if experiment.growth is not None:
        grown = ", ".join(f"{layers} from {place} of the run on" for place, layers in experiment.growth.pairs)
        yield (
            f"- growth: {grown}; weights of new layers `{experiment.growth.weights}`, their moments "
            f"`{experiment.growth.moments}`"
        )
    written = {
        key: value
        for key, value in schedule.model_dump(mode="json").items()
        if value is not None and key not in _PEOPLE
    }
    yield from (
        "",
        "Which layers ran in training was said by this schedule:",
        "",
        "```yaml",
        dump(written).rstrip("\n"),
        "```",
    )


def _versions(record: RunRecord | None) -> str:
    versions = record.versions if record is not None else {}
    return "".join(
        f"; {name} {version}" for name, version in versions.items() if name in ("pld_search", "torch", "transformers")
    )


def _data(card: Card, experiment: Experiment) -> Iterator[str]:
    yield from ("## Data", "", f"- corpus `{experiment.data.corpus}`", f"- tokenizer `{experiment.data.tokenizer}`")
    for name, value in (card.record.corpus if card.record is not None else {}).items():
        yield f"- {name.replace('_', ' ')}: {_shown(value)}"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{_shown(inner)} {key}" for key, inner in value.items())
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _results(card: Card, experiment: Experiment) -> Iterator[str]:
    """Yields the losses and scores of these weights and the savings of the whole run; for an earlier checkpoint only
    its own measurements.
    """
    yield from ("## Results", "")
    rows = results_at(card.record, card.step) if card.record is not None else {}
    if not rows:
        yield "Nothing was recorded of these weights."
        return
    yield from (
        "| metric | value |",
        "|---|---|",
        *(f"| `{name}` | {number(value, 4)} |" for name, value in rows.items()),
    )
    if experiment.evaluation.tasks and card.step in (None, experiment.steps):
        seeds = experiment.evaluation.seeds
        yield from (
            "",
            f"Losses are masked-LM losses in nats; scores are on the tasks' dev sets, the mean over {seeds} "
            f"fine-tuning{'s' if seeds > 1 else ''}.",
        )


def _elasticity(card: Card) -> Iterator[str]:
    """Yields the losses of the whole network with fewer of its layers, when these weights were analysed."""
    found = card.record.analysis_at(card.step) if card.record is not None else None
    if found is None or found.elasticity is None:
        return
    yield from ("## Fewer layers", "")
    yield (
        f"The validation loss (nats, {found.sequences} sequences) with k of the {found.layers} layers, without further "
        "training, and the speed of the encoder where it was measured. `pld-search export --layers` writes "
        "such a model."
    )
    yield from ("", *elasticity_lines(found.elasticity))


def results_at(record: RunRecord, step: int | None) -> dict[str, float]:
    """Returns losses, scores and savings recorded at `step` (None: at the end of the run)."""
    found = {}
    for name in record.series:
        if name.startswith(("valid/", "test/")) or is_downstream(name):
            values = [value for at, value in record.series[name] if step in (None, at)]
            found.update({name: values[-1]} if values else {})
    whole_run = record.ended and step in (None, record.step)
    return {**found, **{name: record.final[name] for name in _TOTALS if whole_run and name in record.final}}
