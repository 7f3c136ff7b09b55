"""BERT's own objective (Devlin et al., NAACL 2019, section 3.1): the sum of the masked-LM loss and the loss of whether
B follows A.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pld_search.costs.objectives.mlm_nsp import MlmNspCosts
from pld_search.data.batches import HELD_OUT_SEED
from pld_search.data.packed_corpus import Corpus
from pld_search.data.sentence_pairs import PairBatches, PairBlocks, PairSplit, held_out_pairs
from pld_search.model.bert import PldBertForPreTraining
from pld_search.model.layered_model import LayeredModel
from pld_search.pretraining.batch_tensors import Examples, MicroBatch
from pld_search.pretraining.mlm import token_part
from pld_search.pretraining.objective import CHUNK, HeldOutPart, PretrainingObjective, StepBatches, mean
from pld_search.schedules.plan import AnyGates
from pld_search.specs.experiment import Batch, Data
from pld_search.specs.pretraining import MLM_NSP


class MaskedLMAndNextSentence(PretrainingObjective):
    """The mean loss over masked positions plus the mean loss over pairs, in nats."""

    kind = MLM_NSP
    costs_class = MlmNspCosts
    model_class = PldBertForPreTraining

    def check_held_out(self, corpus: Corpus, data: Data) -> None:
        """Raises DataError unless both splits have two documents."""
        for split in ("validation", "test"):
            PairSplit(corpus, split, data.final_length)

    def batches(self, corpus: Corpus, data: Data, batch: Batch, seed: int, steps: int) -> StepBatches:
        """Returns the batches of data/sentence_pairs.py."""
        return PairBatches(corpus, data, batch, seed, steps)

    def held_out(self, corpus: Corpus, data: Data, split: str, sequences: int) -> Iterator[Examples]:
        """Yields the held-out pairs of data/sentence_pairs.py."""
        return held_out_pairs(corpus, data, split, sequences, HELD_OUT_SEED, CHUNK)

    def loss(self, model: LayeredModel, part: MicroBatch, gates: AnyGates | None) -> Tensor:
        """Returns the micro-batch's share of both means. If it predicts no token, the head runs at one position and its
        result counts 0.
        """
        tensors, (of_tokens, of_pairs) = dict(part.tensors), part.shares
        if of_tokens == 0.0:
            tensors["positions"] = tensors["positions"][:, :1]
            del tensors["labels"]
            found = model(**tensors, gates=gates)
            nothing: Tensor = found.logits.sum() * 0.0 + found.next_loss * of_pairs
            return nothing
        found = model(**tensors, gates=gates, return_logits=False)
        loss: Tensor = found.mlm_loss * of_tokens + found.next_loss * of_pairs
        return loss

    def held_out_sums(self, model: LayeredModel, tensors: Mapping[str, Tensor], counts: tuple[int, ...]) -> Tensor:
        """Returns nats and number of predictions; nats, correct answers and number of pairs."""
        found = model(**tensors, return_logits=False)
        nats = found.mlm_loss.double() * counts[0] if counts[0] else found.next_loss.double() * 0.0
        right = (found.next_logits.argmax(-1) == tensors["next_labels"]).sum().double()
        numbers = torch.tensor(counts, dtype=torch.float64, device=nats.device)
        return torch.stack([nats, numbers[0], found.next_loss.double() * counts[1], right, numbers[1]])

    def documents(self, corpus: Corpus, data: Data, split: str, sequences: int) -> PairBlocks:
        """See data/sentence_pairs.py."""
        return PairBlocks(corpus, data, split, sequences, HELD_OUT_SEED)

    @property
    def part_weights(self) -> tuple[float, ...]:
        """Masked tokens, and pairs."""
        return 1.0, 1.0

    def held_out_parts(
        self, model: LayeredModel, tensors: Mapping[str, Tensor], counts: tuple[int, ...]
    ) -> tuple[Tensor, tuple[HeldOutPart, ...]]:
        """Returns `held_out_sums`, the nats of each masked token, and those of each pair."""
        inputs = {name: tensor for name, tensor in tensors.items() if name not in ("labels", "next_labels")}
        found, labels = model(**inputs), tensors["next_labels"]
        tokens = token_part(found.logits.contiguous(), tensors)
        pairs = F.cross_entropy(found.next_logits.float(), labels, reduction="none")[:, None]
        right = (found.next_logits.argmax(-1) == labels).sum().double()
        numbers = torch.tensor(counts, dtype=torch.float64, device=right.device)
        sums = [tokens.nats.double().sum(), numbers[0], pairs.double().sum(), right, numbers[1]]
        return torch.stack(sums), (tokens, HeldOutPart(pairs, torch.zeros_like(labels)[:, None]))

    def held_out_metrics(self, sums: Sequence[float]) -> dict[str, float]:
        """Returns `loss` = `mlm_loss` (nats for each prediction) + `nsp_loss` (nats for each pair), and `nsp_accuracy`
        in 0 .. 1.
        """
        nats, predicted, next_nats, right, pairs = sums
        tokens, following = mean(nats, predicted), mean(next_nats, pairs)
        return {
            "loss": tokens + following,
            "mlm_loss": tokens,
            "nsp_loss": following,
            "nsp_accuracy": mean(right, pairs),
        }
