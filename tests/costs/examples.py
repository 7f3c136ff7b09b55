"""One small architecture that tests of this room share."""

from __future__ import annotations

from pld_search.specs.experiment import Batch, Data, Model

_NOWHERE = "sha256:" + "0" * 64
MODEL = Model(layers=6, hidden=32, heads=4, intermediate=128, vocabulary=1000)
DATA = Data(corpus=_NOWHERE, tokenizer=_NOWHERE, length=32)
BATCH = Batch(sequences=16)
