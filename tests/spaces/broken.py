"""Broken study files: what was changed in a good one, and exactly what is said about it."""

from __future__ import annotations

from typing import NamedTuple

from pld_search.schedules.library import names

LIBRARY = " | ".join(names())

GOOD = """\
name: good
experiment:
  model: {layers: 4, hidden: 32, heads: 4}
  data:
    train: demo
    tokenizer: {train: wordpiece, vocabulary: 512}
    length: 32
  batch: {sequences: 8}
  optimizer: {lr: {log: [1e-4, 1e-2]}, warmup: 2 %}
  evaluation: {tasks: demo}
  schedule:
    choice:
      falling: {base: pld, temporal.rate: {log: [10 / run, 100 / run]}}
      rising: {base: pld, temporal: {kind: linear, start: 0.5, end: 1.0}}
budget: {steps: 100, equal: flops}
systems:
  full: {schedule: full, tune: 2}
  pld: {schedule: pld, optimizer.lr: 1e-3}
reference: full
search: {trials: 3, constraints: [divergence/diverged == 0]}
"""


class Broken(NamedTuple):
    """`text` is the whole file; `said` are the problems after the file's name."""

    name: str
    text: str
    said: tuple[str, ...]


def changed(name: str, old: str, new: str, *said: str) -> Broken:
    """The good file with one text replaced by another."""
    assert GOOD.count(old) == 1, (name, old)
    return Broken(name, GOOD.replace(old, new), said)


CASES = [
    changed(
        "unknown key",
        "batch: {sequences: 8}",
        "batch: {sequences: 8, grups: 2}",
        "8:25: experiment.batch.grups: unknown key; allowed: sequences | groups; did you mean groups?",
    ),
    changed(
        "a glob for the training text",
        "train: demo",
        "train: pubmed/*.txt",
        "5:12: experiment.data.train: the training text is `demo`, or a mapping: {text: [GLOB, ...]} for files, {hub: ORG/NAME} for a dataset of the hub; given: pubmed/*.txt",
    ),
    changed(
        "a dataset without its organisation",
        "train: demo",
        "train: {hub: wikitext}",
        "5:18: experiment.data.train.hub: the value has the wrong form; allowed: ORG/NAME; given: wikitext",
    ),
    changed(
        "a number for a budget",
        "budget: {steps: 100, equal: flops}",
        "budget: 100",
        "15:9: budget: needs a mapping; allowed: {KEY: VALUE} with steps | tokens | flops | seconds | equal; given: 100",
    ),
    changed(
        "hours spelled out",
        "budget: {steps: 100, equal: flops}",
        "budget: {seconds: 2 hours, equal: seconds}",
        "15:19: budget.seconds: unknown unit 'hours'; units are % | steps | / run | / step | s | min | h; did you mean h?; given: 2 hours",
    ),
    changed(
        "a name for an objective",
        "search: {trials: 3,",
        "search: {objective: valid/loss, trials: 3,",
        "20:21: search.objective: needs a mapping; allowed: {KEY: VALUE} with minimize | maximize; given: valid/loss",
    ),
    changed(
        "a blank in the name",
        "name: good",
        "name: good study",
        "1:7: name: the value has the wrong form; allowed: letters, digits, . _ and -, a letter or digit first: the name of the study and its folder; default: the file's name; given: good study",
    ),
    changed(
        "another tool's word",
        "model: {layers: 4,",
        "model: {num_hidden_layers: 4,",
        "3:11: experiment.model.num_hidden_layers: unknown key; allowed: layers | hidden | heads | intermediate | norm | positions | max_length | dropout | attention_dropout | embedding_std | init_std | rope_base | feed_forward | norm_kind | bias | qk_norm | attention | tie_embeddings | depth_scaled_norm | token_types | first_norm; did you mean layers?",
    ),
    changed(
        "theta and gamma",
        "temporal.rate: {log: [10 / run, 100 / run]}",
        "theta: 0.5, gamma: 100",
        "13:28: experiment.schedule.choice.falling.theta: unknown key; allowed: name | about | source | temporal | depth | draw | rescale | skipped | run; did you mean temporal.end?",
        "13:40: experiment.schedule.choice.falling.gamma: unknown key; allowed: name | about | source | temporal | depth | draw | rescale | skipped | run; did you mean temporal.rate?",
    ),
    changed(
        "learning_rate",
        "pld: {schedule: pld, optimizer.lr: 1e-3}",
        "pld: {schedule: pld, optimizer.learning_rate: 1e-3, tune: 2}",
        "18:24: systems.pld.optimizer.learning_rate: unknown key; allowed: kind | lr | shape | warmup | decay | rate | weight_decay | clip | beta1 | beta2 | epsilon | adamw | momentum; did you mean lr?",
    ),
    changed(
        "exponential without its rate",
        "warmup: 2 %}",
        "warmup: 2 %, shape: exponential}",
        "9:14: experiment.optimizer.rate: shape `exponential` needs a rate: the factor on lr every 1000 steps (DeepSpeed's is 0.99)",
    ),
    changed(
        "a rate of another shape",
        "warmup: 2 %}",
        "warmup: 2 %, shape: cosine, rate: 0.99}",
        "9:74: experiment.optimizer.rate: a rate belongs to shape `exponential`, not to `cosine`",
    ),
    changed(
        "a rate that does not fall",
        "warmup: 2 %}",
        "warmup: 2 %, shape: exponential, rate: 1}",
        "9:79: experiment.optimizer.rate: out of range; allowed: < 1; given: 1",
    ),
    changed(
        "keys of another policy",
        "  batch: {sequences: 8}",
        "  on_divergence: continue_in_fp32\n  divergence: {lr_factor: 0.5, recoveries: 2}\n  batch: {sequences: 8}",
        "9:27: experiment.divergence.lr_factor: belongs to `on_divergence: lower_lr`, not to `continue_in_fp32`",
        "9:44: experiment.divergence.recoveries: belongs to `on_divergence: lower_lr`, not to `continue_in_fp32`",
    ),
    changed(
        "a policy there is not",
        "  batch: {sequences: 8}",
        "  on_divergence: continue_in_fp16\n  batch: {sequences: 8}",
        "8:18: experiment.on_divergence: this word is not allowed here; allowed: stop | continue_in_fp32 | lower_lr; given: continue_in_fp16; did you mean continue_in_fp32?",
    ),
    changed(
        "values",
        "{log: [1e-4, 1e-2]}",
        "{values: [1e-4, 1e-2]}",
        "9:19: experiment.optimizer.lr: needs one value, not a mapping; allowed: a value, or a domain: {choice: [...]} | {float: [a, b]} | {log: [a, b]} | {int: [a, b]}; given: {values}; did you mean choice?",
    ),
    changed(
        "loguniform",
        "{log: [1e-4, 1e-2]}",
        "{loguniform: [1e-4, 1e-2]}",
        "9:19: experiment.optimizer.lr: needs one value, not a mapping; allowed: a value, or a domain: {choice: [...]} | {float: [a, b]} | {log: [a, b]} | {int: [a, b]}; given: {loguniform}; did you mean log?",
    ),
    changed(
        "wrong type",
        "layers: 4,",
        'layers: "4",',
        '3:19: experiment.model.layers: needs a whole number; given: "4"',
    ),
    changed(
        "truth value for a number",
        "layers: 4,",
        "layers: true,",
        "3:19: experiment.model.layers: needs a whole number; given: true",
    ),
    changed(
        "out of range",
        "length: 32",
        "length: 4",
        "7:13: experiment.data.length: out of range; allowed: >= 8; given: 4",
    ),
    changed(
        "share above 1",
        "warmup: 2 %",
        "warmup: 200 %",
        "9:48: experiment.optimizer.warmup: a share lies in [0, 1] or between 0 % and 100 %; given: 200 %",
    ),
    changed(
        "unknown unit",
        "warmup: 2 %",
        "warmup: 2 percent",
        "9:48: experiment.optimizer.warmup: unknown unit 'percent'; units are % | steps | / run | / step | s | min | h; did you mean %?; given: 2 percent",
    ),
    changed(
        "rate without unit",
        "{log: [10 / run, 100 / run]}",
        "{log: [10, 100]}",
        "13:50: experiment.schedule.choice.falling.temporal.rate.log[0]: needs 'NUMBER / run' or 'NUMBER / step': the unit is required; given: 10.0",
        "13:54: experiment.schedule.choice.falling.temporal.rate.log[1]: needs 'NUMBER / run' or 'NUMBER / step': the unit is required; given: 100.0",
    ),
    changed(
        "heads",
        "hidden: 32, heads: 4",
        "hidden: 32, heads: 5",
        "3:10: experiment.model: hidden (32) must be a multiple of heads (5)",
    ),
    changed(
        "unknown schedule",
        "pld: {schedule: pld,",
        "pld: {schedule: pdl,",
        f"18:19: systems.pld.schedule: no schedule of this name; allowed: {LIBRARY}; given: pdl; did you mean pld?",
    ),
    changed(
        "missing schedule file",
        "pld: {schedule: pld,",
        "pld: {schedule: ./nowhere.yaml,",
        "18:19: systems.pld.schedule: no such file: {folder}/nowhere.yaml; given: ./nowhere.yaml",
    ),
    changed(
        "unknown base",
        "falling: {base: pld,",
        "falling: {base: pldd,",
        f"13:23: experiment.schedule.choice.falling.base: no schedule of this name; allowed: {LIBRARY}; given: pldd; did you mean pld?",
    ),
    changed(
        "unknown kind",
        "kind: linear, start: 0.5",
        "kind: liner, start: 0.5",
        "14:44: experiment.schedule.choice.rising.temporal.kind: no such kind; allowed: constant | linear | exponential | exponential-growth | cosine | polynomial | stages | table | phases; given: liner; did you mean linear?",
    ),
    changed(
        "schedule not complete",
        "full: {schedule: full, tune: 2}",
        "full: {schedule: {temporal: {kind: constant, value: 1}}, tune: 2}",
        "17:20: systems.full.schedule.depth: this key is required (from theta to p_l of layer l = 1 .. L)",
        "17:20: systems.full.schedule.draw: this key is required (how layers are drawn from p_l)",
        "17:20: systems.full.schedule.rescale: this key is required (scale of a kept layer: sublayer (1/p on each residual, the paper) | block (1/p on the block's residual, unbiased) | none | evaluation (p at evaluation instead) | deepspeed (1/p of the next layer))",
        "17:20: systems.full.schedule.skipped: this key is required (weights of a dropped layer: freeze (no update) | decay (weight decay only) | zero_grad (a zero gradient: momentum drifts on))",
    ),
    changed(
        "unknown reference",
        "reference: full",
        "reference: ful",
        "19:12: reference: no system of this name; allowed: full | pld; given: ful; did you mean full?",
    ),
    changed(
        "equal without reference",
        "reference: full\n",
        "",
        "15:29: budget.equal: an equal budget needs a reference; allowed: reference: NAME OF A SYSTEM; given: flops",
    ),
    changed(
        "domain without bounds",
        "{log: [1e-4, 1e-2]}",
        "{log: [1e-4]}",
        "9:25: experiment.optimizer.lr.log: a log domain is [low, high]; given: [0.0001]",
    ),
    changed(
        "domain upside down",
        "{log: [1e-4, 1e-2]}",
        "{log: [1e-2, 1e-4]}",
        "9:25: experiment.optimizer.lr.log: low is not above high; given: [0.01, 0.0001]",
    ),
    changed(
        "log of zero",
        "{log: [1e-4, 1e-2]}",
        "{log: [0, 1e-2]}",
        "9:25: experiment.optimizer.lr.log: the bounds of a log domain are above 0; given: [0, 0.01]",
    ),
    changed(
        "domain of two forms",
        "{log: [1e-4, 1e-2]}",
        "{log: [1e-4, 1e-2], float: [0, 1]}",
        "9:39: experiment.optimizer.lr.float: a domain has one form; allowed: {choice: [...]} | {choice: {name: {...}}} | {float: [a, b]} | {log: [a, b]} | {int: [a, b]}; float and int with step:",
    ),
    changed(
        "step that does not divide",
        "hidden: 32",
        "hidden: {int: [32, 48], step: 10}",
        "3:52: experiment.model.hidden.step: high is a whole number of steps (at most 1,000,000) above low; given: 10",
    ),
    changed(
        "choice of nothing",
        "{log: [1e-4, 1e-2]}",
        "{choice: []}",
        "9:28: experiment.optimizer.lr.choice: a choice holds a list of values, or mappings by name; given: []",
    ),
    changed(
        "mappings without names",
        "{log: [1e-4, 1e-2]}",
        "{choice: [{a: 1}, {b: 2}]}",
        "9:29: experiment.optimizer.lr.choice[0]: a list of choices holds single values; mappings need names: {choice: {name: {...}}}",
        "9:37: experiment.optimizer.lr.choice[1]: a list of choices holds single values; mappings need names: {choice: {name: {...}}}",
    ),
    changed(
        "bound out of range",
        "{log: [1e-4, 1e-2]}",
        "{float: [0, 1e-2]}",
        "9:28: experiment.optimizer.lr.float[0]: out of range; allowed: > 0; given: 0.0",
    ),
    changed(
        "domain in a schedule out of range",
        "{log: [10 / run, 100 / run]}",
        "{float: [0 / run, 100 / run]}",
        "13:52: experiment.schedule.choice.falling.temporal.rate.float[0]: a rate is greater than 0; given: 0 / run",
    ),
    changed(
        "domain under budget",
        "steps: 100,",
        "steps: {int: [50, 100]},",
        "15:17: budget.steps: a domain cannot stand here: results would not be comparable",
    ),
    changed(
        "domain under evaluation",
        "evaluation: {tasks: demo}",
        "evaluation: {tasks: demo, epochs: {int: [1, 3]}}",
        "10:37: experiment.evaluation.epochs: a domain cannot stand here: results would not be comparable",
    ),
    changed(
        "domain of the seed",
        "  evaluation: {tasks: demo}",
        "  seed: {int: [0, 9]}\n  evaluation: {tasks: demo}",
        "10:9: experiment.seed: a domain cannot stand here: results would not be comparable",
    ),
    changed(
        "domain of what is learned",
        "  evaluation: {tasks: demo}",
        "  pretraining: {choice: [mlm, mlm+nsp]}\n  evaluation: {tasks: demo}",
        "10:16: experiment.pretraining: a domain cannot stand here: results would not be comparable",
    ),
    changed(
        "an objective that is none",
        "  evaluation: {tasks: demo}",
        "  pretraining: mlm+nps\n  evaluation: {tasks: demo}",
        "10:16: experiment.pretraining: what a run learns is one of mlm | mlm+nsp | electra, or a mapping with `kind`; did you mean "
        "mlm+nsp?; given: mlm+nps",
    ),
    changed(
        "domain of the tokenizer",
        "vocabulary: 512",
        "vocabulary: {choice: [512, 1024]}",
        "6:47: experiment.data.tokenizer.vocabulary: a domain cannot stand here: results would not be comparable",
    ),
    changed(
        "tune without a domain",
        "optimizer.lr: 1e-3}",
        "optimizer.lr: 1e-3, tune: 3}",
        "18:50: systems.pld.tune: nothing to tune: the system leaves no domain open",
    ),
    changed(
        "open domain without tune",
        "full: {schedule: full, tune: 2}",
        "full: {schedule: full}",
        "17:3: systems.full: a domain that this system leaves open; close it, or state tune: TRIALS; given: optimizer.lr",
    ),
    changed(
        "evaluation of one system",
        "optimizer.lr: 1e-3}",
        "optimizer.lr: 1e-3, evaluation.epochs: 9}",
        "18:44: systems.pld.evaluation: the same for every system: results would not be comparable",
    ),
    changed(
        "budget of one system",
        "optimizer.lr: 1e-3}",
        "optimizer.lr: 1e-3, budget.steps: 9}",
        "18:44: systems.pld.budget: belongs to the study, not to one system",
    ),
    changed(
        "same path twice",
        "optimizer.lr: 1e-3}",
        "optimizer.lr: 1e-3, optimizer: {lr: 2e-3}}",
        "18:56: systems.pld.optimizer.lr: the same path is written twice, first in line 18",
    ),
    changed(
        "duplicate key",
        "reference: full",
        "reference: full\nreference: pld",
        "20:1: reference: the key is written twice, first in line 19",
    ),
    changed(
        "bad constraint",
        "[divergence/diverged == 0]",
        "[divergence/diverged = 0]",
        "20:35: search.constraints[0]: a constraint is NAME (<= | < | >= | > | ==) NUMBER [unit], as in `saved/flops >= 10 %`; given: divergence/diverged = 0",
    ),
    changed(
        "constraint on no metric",
        "[divergence/diverged == 0]",
        "[saved/flop >= 10 %]",
        "20:35: search.constraints[0]: no metric of this name (downstream: SUITE/average or SUITE/TASK/METRIC); given: saved/flop >= 10 %; did you mean saved/flops?",
    ),
    changed(
        "objective on the test split",
        "search: {trials: 3,",
        "search: {trials: 3, objective: {minimize: test/loss},",
        "20:43: search.objective.minimize: the search never sees the test split; given: test/loss; did you mean valid/loss?",
    ),
    changed(
        "objective of no suite",
        "search: {trials: 3,",
        "search: {trials: 3, objective: {maximize: glue/average},",
        "20:32: search.objective: the study evaluates no task of this suite; allowed: demo; given: glue/average",
    ),
    changed(
        "unknown sampler",
        "search: {trials: 3,",
        "search: {trials: 3, sampler: tpes,",
        "20:30: search.sampler: this word is not allowed here; allowed: auto | gp | tpe | nsga2 | random | bruteforce; given: tpes; did you mean tpe?",
    ),
    changed(
        "brute force of infinitely many",
        "search: {trials: 3,",
        "search: {trials: 3, sampler: bruteforce,",
        "20:30: search.sampler: bruteforce needs finitely many values: give a step, or a choice; given: optimizer.lr, schedule.falling.temporal.rate",
    ),
    changed(
        "two budgets",
        "budget: {steps: 100,",
        "budget: {steps: 100, tokens: 1000,",
        "15:9: budget: a budget states exactly one of steps, tokens, flops and seconds",
    ),
    changed(
        "budget of no time",
        "budget: {steps: 100,",
        "budget: {seconds: 0 min,",
        "15:19: budget.seconds: a time is greater than 0; given: 0 min",
    ),
    changed(
        "budget in days",
        "budget: {steps: 100,",
        "budget: {seconds: 2 days,",
        "15:19: budget.seconds: unknown unit 'days'; units are % | steps | / run | / step | s | min | h; given: 2 days",
    ),
    changed(
        "target of another schedule",
        "reference: full\n",
        "reference: full\ntarget: {set: {model.hidden: 64, schedule: pld}}\n",
        "20:34: target.set.schedule: a target does not change this: the schedule is what the search finds",
    ),
    changed(
        "target of another study",
        "reference: full\n",
        "reference: full\ntarget: {set: {search.trials: 64, data.train: demo}, runs: 2}\n",
        "20:16: target.set.search: a target changes the experiment and the budget only",
        "20:35: target.set.data.train: a target does not change this: the data are the study's",
    ),
    changed(
        "target that cannot be built",
        "reference: full\n",
        "reference: full\ntarget: {set: {model.hidden: 66, budget.tokens: 1000, budget.steps: 2}}\n",
        "20:16: target.set.model: hidden (66) must be a multiple of heads (4)",
        "20:34: target.set.budget: a budget states exactly one of steps, tokens, flops and seconds",
    ),
    changed(
        "misspelt target",
        "reference: full\n",
        "reference: full\ntarget: {set: {model.hiden: 64, budget.step: 2}, run: 3}\n",
        "20:50: target.run: unknown key; allowed: set | runs; did you mean runs?",
    ),
    changed(
        "misspelt size of a target",
        "reference: full\n",
        "reference: full\ntarget: {set: {model.hiden: 64, budget.step: 2}}\n",
        "20:16: target.set.model.hiden: unknown key; allowed: layers | hidden | heads | intermediate | norm | positions | max_length | dropout | attention_dropout | embedding_std | init_std | rope_base | feed_forward | norm_kind | bias | qk_norm | attention | tie_embeddings | depth_scaled_norm | token_types | first_norm; did you mean hidden?",
        "20:33: target.set.budget.step: unknown key; allowed: steps | tokens | flops | seconds | equal; did you mean steps?",
    ),
    changed(
        "target without a size",
        "reference: full\n",
        "reference: full\ntarget: {set: {}}\n",
        "20:15: target.set: changes of the experiment and the budget; allowed: {model.hidden: 768, budget.steps: 200000}; given: {}",
    ),
    changed(
        "target of no run",
        "reference: full\n",
        "reference: full\ntarget: {set: {model.hidden: 64}, runs: 0}\n",
        "20:41: target.runs: out of range; allowed: >= 1; given: 0",
    ),
    changed(
        "domain in a target",
        "reference: full\n",
        "reference: full\ntarget: {set: {model.hidden: {int: [32, 64]}}}\n",
        "20:30: target.set.model.hidden: a domain cannot stand here: results would not be comparable",
    ),
    changed(
        "no trials",
        "search: {trials: 3, ",
        "search: {",
        "20:9: search.trials: this key is required (sampled configurations; systems are not counted)",
    ),
    changed(
        "unknown task",
        "evaluation: {tasks: demo}",
        "evaluation: {tasks: [cola, rtee]}",
        "10:30: experiment.evaluation.tasks[1]: no task of GLUE (cola | sst2 | mrpc | stsb | qqp | mnli | qnli | rte | wnli); a task of your own is {name: place}; did you mean rte?; given: rtee",
    ),
    changed(
        "empty experiment",
        "batch: {sequences: 8}",
        "batch:",
        "8:9: experiment.batch: needs a mapping; allowed: {KEY: VALUE} with sequences | groups; given: nothing",
    ),
    changed(
        "unquoted time",
        "name: good",
        "name: 24:00:00",
        '1:7: name: unquoted digits with colons are a number in base 60 to YAML 1.1; given: 24:00:00; did you mean "24:00:00"?',
    ),
    changed(
        "unquoted no",
        "name: good",
        "about: no",
        '1:8: about: an unquoted yes, no, on or off is a truth value to some readers and a word to others; given: no; did you mean false or "no"?',
    ),
    changed(
        "unquoted date",
        "name: good",
        "about: 2024-05-01",
        '1:8: about: an unquoted date is not a text; given: 2024-05-01; did you mean "2024-05-01"?',
    ),
    changed(
        "octal",
        "steps: 100,",
        "steps: 0100,",
        '15:17: budget.steps: a number with a leading 0 is octal, hexadecimal or binary to YAML 1.1; write it in decimal or quote it; given: 0100; did you mean "0100"?',
    ),
    changed(
        "not a number",
        "vocabulary: 512",
        "vocabulary: .nan",
        "6:47: experiment.data.tokenizer.vocabulary: infinity and NaN are not numbers here; given: .nan",
    ),
    changed(
        "tab",
        "  batch: {sequences: 8}",
        "\tbatch: {sequences: 8}",
        "8:1: a tab in the indentation; YAML indents with spaces",
    ),
    changed(
        "python object",
        "name: good",
        'name: !!python/object/apply:os.system ["true"]',
        "1:7: tags are not used here; given: !!python/object/apply:os.system",
    ),
    changed(
        "merge key",
        "batch: {sequences: 8}",
        "batch: {<<: {sequences: 8}}",
        "8:11: experiment.batch: merge keys ('<<') are not used here; systems, base: and --set change a value",
    ),
    changed(
        "not closed",
        "reference: full",
        "reference: [full",
        "19:12: this bracket is not closed",
    ),
    changed(
        "number as a key",
        "reference: full",
        "reference: full\n7: seven",
        "20:1: a number alone is no key; a place in a run has a unit, `0 %` or `100 steps`; given: 7",
    ),
    changed(
        "promotion of a rate that decays throughout",
        "search: {trials: 3,",
        "search: {trials: 3, early_stopping: {kind: promotion},",
        "9:14: experiment.optimizer.shape: promotion and learned rank runs by branches that decay, and they leave a constant rate: an undecayed or half-decayed one ranks wrongly; allowed: wsd; given: linear",
    ),
    changed(
        "a misspelt rule",
        "search: {trials: 3,",
        "search: {trials: 3, early_stopping: {kind: medain},",
        "20:44: search.early_stopping.kind: no such kind; allowed: promotion | learned | asha | hyperband | median | threshold | patient | dominance; given: medain; did you mean median?",
    ),
    changed(
        "a rung beyond the half, and a key of another rule",
        "search: {trials: 3,",
        "search: {trials: 3, early_stopping: {kind: asha, min: 60 %, every: 10 %},",
        "20:44: search.early_stopping.kind: `every` beside it belongs to another kind; allowed: median | threshold | patient | dominance; given: asha",
        "20:55: search.early_stopping.min: out of range; allowed: <= 0.5; given: 60 %",
        "20:61: search.early_stopping.every: unknown key; allowed: min | eta | kind",
    ),
    changed(
        "a start with what is no parameter, outside its domain, and without its branch",
        "search: {trials: 3,",
        "search: {trials: 3, start_with: [{optimizer.lrr: 1e-3}, {optimizer.lr: 1.0}, {schedule.falling.temporal.rate: 20}],",
        "20:50: search.start_with[0].optimizer.lrr: no parameter of this name; allowed: optimizer.lr | schedule | schedule.falling.temporal.rate; did you mean optimizer.lr?",
        "20:72: search.start_with[1].optimizer.lr: lies outside its domain; given: 1.0",
        "20:111: search.start_with[2].schedule.falling.temporal.rate: this value needs the choice of its branch beside it; allowed: schedule: falling",
    ),
    changed(
        "a random search that is to learn from others",
        "search: {trials: 3,",
        "search: {trials: 3, sampler: random, learn_from: [earlier],",
        "20:50: search.learn_from: only a model learns from other studies; allowed: sampler: gp | auto; given: random",
    ),
    changed(
        "a prior outside its bounds",
        "lr: {log: [1e-4, 1e-2]}",
        "lr: {log: [1e-4, 1e-2], prior: 0.1}",
        "9:46: experiment.optimizer.lr.prior: a prior lies between the bounds, in their unit; allowed: [0.0001, 0.01]; given: 0.1",
    ),
    changed(
        "an end of a search with two objectives",
        "search: {trials: 3,",
        "search: {trials: 3, objective: [{minimize: valid/loss}, {maximize: saved/flops}], until: {regret: 0.01},",
        "20:90: search.until: the remaining improvement is estimated only for a search with one objective",
    ),
    changed(
        "a pruner for several objectives",
        "search: {trials: 3,",
        "search: {trials: 3, objective: [{minimize: valid/loss}, {maximize: saved/flops}], early_stopping: {kind: median},",
        "20:106: search.early_stopping.kind: a search of several objectives is not stopped by this rule; allowed: dominance; given: median",
    ),
    changed(
        "an objective that no rung knows",
        "search: {trials: 3,",
        "search: {trials: 3, objective: {maximize: demo/average}, early_stopping: {kind: median},",
        "20:32: search.objective: early stopping needs an objective that is known at a rung; allowed: valid/loss; given: demo/average",
    ),
    changed(
        "a threshold without a bound",
        "search: {trials: 3,",
        "search: {trials: 3, early_stopping: {kind: threshold},",
        "20:37: search.early_stopping: a threshold states lower, upper or both",
    ),
    Broken(
        "several problems",
        GOOD.replace("layers: 4,", "layers: 0,")
        .replace("tasks: demo", "tasks: glue")
        .replace("reference: full", "reference: fool")
        .replace("warmup: 2 %", "warm_up: 2 %"),
        (
            "3:19: experiment.model.layers: out of range; allowed: >= 1; given: 0",
            "9:40: experiment.optimizer.warm_up: unknown key; allowed: kind | lr | shape | warmup | decay | rate | weight_decay | clip | beta1 | beta2 | epsilon | adamw | momentum; did you mean warmup?",
            "10:23: experiment.evaluation.tasks: tasks are `demo`, or a list of GLUE's names (cola | sst2 | mrpc | stsb | qqp | mnli | qnli | rte | wnli) and {name: place}; given: glue",
            "19:12: reference: no system of this name; allowed: full | pld; given: fool",
        ),
    ),
    Broken("empty", "", ("1:1: the file is empty",)),
    Broken("only comments", "# nothing\n", ("1:1: the file is empty",)),
    Broken("a list", "- name: good\n", ("1:1: the file must hold a mapping (key: value)",)),
    Broken("two documents", GOOD + "---\n" + GOOD, ("21:1: more than one document ('---') in one file",)),
    Broken(
        "anchor bomb",
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)),
        ("1:37: more than 100,000 values, aliases written out",),
    ),
    Broken("nested too deep", "a: " + "[" * 60 + "]" * 60 + "\n", ("1:53: nested more than 50 deep",)),
    Broken(
        "ten megabytes",
        "#" * 10_000_000,
        ("1:1: the file is larger than 1,000,000 bytes; a configuration file is smaller",),
    ),
]
