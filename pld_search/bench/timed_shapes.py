"""The timed shapes and their experiments: BERT's post-norm architecture, because transformers has the same one."""

from __future__ import annotations

from dataclasses import dataclass

from pld_search.costs.flops import StepFlops, step_flops
from pld_search.costs.load_schedule import load_schedule
from pld_search.errors import ConfigError, Problem
from pld_search.schedules.schedule import Schedule
from pld_search.specs.experiment import Batch, Data, Experiment, Model, Optimizer, Precision

STEPS = 10_000  # T of a timed run, which is never trained to its end


@dataclass(frozen=True, slots=True)
class TimedShape:
    """An architecture and the tokens of one step on a CPU and on a GPU."""

    layers: int
    hidden: int
    heads: int
    vocabulary: int
    cpu_tokens: int
    cuda_tokens: int

    def sequences(self, length: int, device: str) -> int:
        """Returns the sequences of a global batch, at least one."""
        return max(1, (self.cpu_tokens if device == "cpu" else self.cuda_tokens) // length)


SHAPES = {
    "tiny": TimedShape(layers=6, hidden=96, heads=4, vocabulary=1024, cpu_tokens=2048, cuda_tokens=65536),
    "small": TimedShape(layers=12, hidden=256, heads=4, vocabulary=30522, cpu_tokens=2048, cuda_tokens=65536),
    "base": TimedShape(layers=12, hidden=768, heads=12, vocabulary=30522, cpu_tokens=1024, cuda_tokens=65536),
    "large": TimedShape(layers=24, hidden=1024, heads=16, vocabulary=30522, cpu_tokens=1024, cuda_tokens=32768),
}


@dataclass(frozen=True, slots=True)
class Case:
    """The fixed parts of one comparison: everything except schedule and engine."""

    shape: str
    length: int
    sequences: int
    precision: Precision
    dropout: float
    corpus: str
    tokenizer: str
    vocabulary: int

    def experiment(self, schedule: str) -> Experiment:
        """Returns the experiment of this case with a schedule of the library, at a constant learning rate."""
        shape = SHAPES[self.shape]
        model = Model(
            layers=shape.layers,
            hidden=shape.hidden,
            heads=shape.heads,
            intermediate=4 * shape.hidden,
            vocabulary=self.vocabulary,
            norm="post",
            max_length=max(512, self.length),
            dropout=self.dropout,
            attention_dropout=self.dropout,
        )
        return Experiment(
            model=model,
            data=Data(corpus=self.corpus, tokenizer=self.tokenizer, length=self.length),
            batch=Batch(sequences=self.sequences),
            optimizer=Optimizer(lr=1e-4, shape="wsd", warmup="0 %", decay="0 %"),
            precision=self.precision,
            schedule=self._schedule(schedule, model),
            steps=STEPS,
        )

    def _schedule(self, name: str, model: Model) -> Schedule:
        """Loads a schedule. Raises ConfigError when the schedule cannot be drawn for the timed step."""
        schedule = load_schedule(name, layers=model.layers, steps=STEPS, flops=self._flops(model))
        reasons = schedule.misfits(STEPS, model.layers, (self.sequences,))
        if reasons:
            at_hand = f"{self.sequences} x {self.length} tokens a step, {model.layers} layers"
            raise ConfigError(
                [
                    Problem(
                        reason.why,
                        ("--schedule", name, *reason.path),
                        allowed="another --schedule or --sequences",
                        given=at_hand,
                    )
                    for reason in reasons
                ]
            )
        return schedule

    def _flops(self, model: Model) -> StepFlops:
        return step_flops(
            model,
            Data(corpus=self.corpus, tokenizer=self.tokenizer, length=self.length),
            Batch(sequences=self.sequences),
        )
