"""Masked language modelling (Devlin et al., NAACL 2019, section 3.1): packed text, the loss at the masked positions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from pld_search.costs.objectives import MlmCosts
from pld_search.data import batches
from pld_search.data.batches import Batches
from pld_search.data.held_out_documents import DocumentBlocks, document_blocks
from pld_search.data.packed_corpus import Corpus
from pld_search.model.bert import PldBertForMaskedLM
from pld_search.model.layered_model import LayeredModel
from pld_search.model.token_loss import IGNORED, token_losses
from pld_search.pretraining.batch_tensors import Examples, MicroBatch
from pld_search.pretraining.objective import HeldOutPart, PretrainingObjective, StepBatches, mean
from pld_search.schedules.plan import AnyGates
from pld_search.specs.experiment import Batch, Data
from pld_search.specs.pretraining import MLM


class MaskedLM(PretrainingObjective):
    """The mean loss in nats over the masked positions of a batch."""

    kind = MLM
    costs_class = MlmCosts
    model_class = PldBertForMaskedLM

    def batches(self, corpus: Corpus, data: Data, batch: Batch, seed: int, steps: int) -> StepBatches:
        """Returns the batches of data/batches.py."""
        return Batches(corpus, data, batch, seed, steps)

    def held_out(self, corpus: Corpus, data: Data, split: str, sequences: int) -> Iterator[Examples]:
        """Yields the held-out batches of data/batches.py."""
        read = batches.validation if split == "validation" else batches.test
        return read(corpus, data, sequences)

    def loss(self, model: LayeredModel, part: MicroBatch, gates: AnyGates | None) -> Tensor:
        """Returns the micro-batch's share of the mean over all predictions of its step."""
        ids, positions, labels = (part.tensors[name] for name in ("input_ids", "positions", "labels"))
        if part.empty:
            empty: Tensor = model(ids, positions=positions[:, :1], gates=gates).logits.sum() * 0.0
            return empty
        loss: Tensor = model(ids, positions=positions, labels=labels, gates=gates, return_logits=False).loss
        return loss * part.shares[0]

    def held_out_sums(self, model: LayeredModel, tensors: Mapping[str, Tensor], counts: tuple[int, ...]) -> Tensor:
        """Returns nats and number of predictions."""
        loss = model(**tensors, return_logits=False).loss
        return torch.stack(
            [loss.double() * counts[0], torch.tensor(counts[0], dtype=torch.float64, device=loss.device)]
        )

    def documents(self, corpus: Corpus, data: Data, split: str, sequences: int) -> DocumentBlocks:
        """Returns the blocks of documents of data/held_out_documents.py."""
        return document_blocks(corpus, data, split, sequences)

    def held_out_parts(
        self, model: LayeredModel, tensors: Mapping[str, Tensor], counts: tuple[int, ...]
    ) -> tuple[Tensor, tuple[HeldOutPart, ...]]:
        """Returns nats and the number of predictions, and the nats of each prediction."""
        part = token_part(model(tensors["input_ids"], positions=tensors["positions"]).logits, tensors)
        total = part.nats.double().sum()
        return torch.stack([total, torch.full_like(total, counts[0])]), (part,)

    def held_out_metrics(self, sums: Sequence[float]) -> dict[str, float]:
        """Returns `loss`: nats for each prediction."""
        return {"loss": mean(*sums)}


def token_part(logits: Tensor, tensors: Mapping[str, Tensor]) -> HeldOutPart:
    """Returns the losses of predicted tokens from their logits (N, K, V), which it may overwrite."""
    labels = tensors["labels"]
    nats = token_losses(logits.flatten(0, 1), labels.flatten()).view(labels.shape)
    return HeldOutPart(nats, tensors["positions"].masked_fill(labels == IGNORED, -1))
