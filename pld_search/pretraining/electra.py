"""Replaced-token detection (Clark et al., "ELECTRA", ICLR 2020): a generator learns masked tokens, and the encoder
learns which of all tokens the generator has replaced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pld_search.costs.objectives.electra import ElectraCosts
from pld_search.data import batches
from pld_search.data.batches import Batches
from pld_search.data.held_out_documents import DocumentBlocks, document_blocks
from pld_search.data.packed_corpus import Corpus
from pld_search.data.replaced import BatchesWithWords, held_out_with_words
from pld_search.model.electra import PldElectra
from pld_search.model.layered_model import LayeredModel
from pld_search.pretraining.batch_tensors import Examples, MicroBatch
from pld_search.pretraining.mlm import token_part
from pld_search.pretraining.objective import HeldOutPart, PretrainingObjective, StepBatches, mean
from pld_search.schedules.plan import AnyGates
from pld_search.specs.experiment import Batch, Data, Model
from pld_search.specs.pretraining import ELECTRA, Electra

_BINS, _FAR = 512, 8.0
"""Bins of the logits between -_FAR and _FAR; logits outside are in the first or the last bin."""


class ReplacedTokens(PretrainingObjective):
    """The generator's mean loss over masked positions plus `weight` times the discriminator's over all positions."""

    kind = ELECTRA
    costs_class = ElectraCosts
    model_class = PldElectra

    @property
    def _weight(self) -> float:
        assert isinstance(self.spec, Electra)
        return self.spec.weight

    def model_settings(self, model: Model) -> dict[str, Any]:
        """Returns the sizes of the generator."""
        own = ElectraCosts(self.spec).generator(model)
        sizes = {"layers": own.layers, "hidden_size": own.hidden, "heads": own.heads}
        return {f"generator_{name}": size for name, size in (*sizes.items(), ("intermediate_size", own.intermediate))}

    def batches(self, corpus: Corpus, data: Data, batch: Batch, seed: int, steps: int) -> StepBatches:
        """Returns the batches of masked language modelling, with words."""
        return BatchesWithWords(Batches(corpus, data, batch, seed, steps), seed)

    def held_out(self, corpus: Corpus, data: Data, split: str, sequences: int) -> Iterator[Examples]:
        """Yields the held-out batches of masked language modelling, with words."""
        read = batches.validation if split == "validation" else batches.test
        available = len(corpus.split(split, data.final_length))
        return held_out_with_words(read(corpus, data, sequences), split, available, sequences)

    def loss(self, model: LayeredModel, part: MicroBatch, gates: AnyGates | None) -> Tensor:
        """Returns the micro-batch's share of both means. A micro-batch without masked tokens has replaced none."""
        found = model(**part.tensors, gates=gates, generator_gates=part.second)
        of_tokens, of_positions = part.shares
        tokens = found.mlm_loss * of_tokens if of_tokens else found.generated.sum() * 0.0
        loss: Tensor = tokens + self._weight * of_positions * found.rtd_loss
        return loss

    def held_out_sums(self, model: LayeredModel, tensors: Mapping[str, Tensor], counts: tuple[int, ...]) -> Tensor:
        """Returns, in this order: nats and number of predictions; nats and number of positions; replaced tokens that
        were found, other tokens that were taken for replaced, and replaced tokens that were missed; histograms of the
        logits of replaced tokens and of other tokens.
        """
        return self._sums(model(**tensors), counts)

    def _sums(self, found: Any, counts: tuple[int, ...]) -> Tensor:
        nats = found.mlm_loss.double() * counts[0] if counts[0] else found.rtd_loss.double() * 0.0
        said, replaced = found.logits > 0, found.replaced
        numbers = torch.tensor(counts, dtype=torch.float64, device=nats.device)
        hits = [(said & replaced).sum(), (said & ~replaced).sum(), (~said & replaced).sum()]
        sums = [nats, numbers[0], found.rtd_loss.double() * counts[1], numbers[1], *(hit.double() for hit in hits)]
        return torch.cat([torch.stack(sums), _histogram(found.logits[replaced]), _histogram(found.logits[~replaced])])

    def documents(self, corpus: Corpus, data: Data, split: str, sequences: int) -> DocumentBlocks:
        """See data/held_out_documents.py."""
        return document_blocks(corpus, data, split, sequences)

    @property
    def part_weights(self) -> tuple[float, ...]:
        """The generator's, and the discriminator's."""
        return 1.0, self._weight

    def held_out_parts(
        self, model: LayeredModel, tensors: Mapping[str, Tensor], counts: tuple[int, ...]
    ) -> tuple[Tensor, tuple[HeldOutPart, ...]]:
        """Returns `held_out_sums`, the nats of each masked token, and those of every position."""
        found = model(**tensors)
        place = torch.arange(found.logits.shape[1], device=found.logits.device).expand_as(found.logits)
        detected = F.binary_cross_entropy_with_logits(found.logits.float(), found.replaced.float(), reduction="none")
        parts = token_part(found.generated.contiguous(), tensors), HeldOutPart(detected, place)
        return self._sums(found, counts), parts

    def held_out_metrics(self, sums: Sequence[float]) -> dict[str, float]:
        """Returns `mlm_loss` of the generator and, of the discriminator, `rtd_loss`, `rtd_f1` (of the replaced tokens,
        in 0 .. 1) and `rtd_auc` (the probability that a replaced token has a higher logit than another token; 0.5 is a
        guess). `rtd_constant_f1` is the F1 of taking every token for replaced. `loss` is the weighted sum of both.
        """
        nats, predicted, other_nats, positions, hit, wrong, missed = sums[:7]
        tokens, detected = mean(nats, predicted), mean(other_nats, positions)
        return {
            "loss": tokens + self._weight * detected,
            "mlm_loss": tokens,
            "rtd_loss": detected,
            "rtd_f1": mean(2 * hit, 2 * hit + wrong + missed),
            "rtd_auc": _auc(sums[7 : 7 + _BINS], sums[7 + _BINS :]),
            "rtd_constant_f1": mean(2 * (hit + missed), hit + missed + positions),
        }


def _histogram(logits: Tensor) -> Tensor:
    """Returns how many logits (N,) lie in each bin, float64 (_BINS,)."""
    width = 2 * _FAR / _BINS
    bins = ((torch.nan_to_num(logits.float()) + _FAR) / width).floor().clamp(0, _BINS - 1).long()
    return torch.bincount(bins, minlength=_BINS).double()


def _auc(replaced: Sequence[float], others: Sequence[float]) -> float:
    """Returns the area under the curve of true against false positives (Hanley & McNeil, 1982). Two tokens in one bin
    count as half; NaN without pairs to compare.
    """
    below = np.concatenate(([0.0], np.cumsum(others)[:-1]))
    pairs = float(np.sum(replaced)) * float(np.sum(others))
    return mean(float(np.dot(replaced, below + np.asarray(others) / 2)), pairs)
