"""A tokenizer as a folder that transformers' AutoTokenizer loads without this project."""

from __future__ import annotations

import json
from pathlib import Path

from pld_search.data.wordpiece import SPECIAL_TOKENS, WordPiece

_NAMES = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")


def write_plain_tokenizer(tokenizer: WordPiece, folder: Path, longest: int) -> None:
    """Write `tokenizer.json`, `vocab.txt` and `tokenizer_config.json`; `longest` is the model's number of positions.

    The class is the general one that runs `tokenizer.json` as it is: BertTokenizer would build a normaliser of its own.
    """
    tokenizer.save(folder)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": longest,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        **dict(zip(_NAMES, SPECIAL_TOKENS, strict=True)),
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
