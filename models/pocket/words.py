"""WordPiece vocabularies of the captions that a pocket model learns from."""

from __future__ import annotations

import collections
import re
import string
from collections.abc import Iterable
from typing import Any

from transformers import BertTokenizer

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]")
"""BERT's, and BLIP's two. Their places in this row are their ids."""


def tokenizer(texts: Iterable[str], length: int, **special: Any) -> BertTokenizer:
    """Every word that occurs three times, and letters for the others; texts are cut at ``length`` tokens.

    >>> tokenizer(["a ring", "a ring", "the ring"], 8).tokenize("a ring there")
    ['a', 'ring', 't', '##h', '##e', '##r', '##e']
    """
    counts = collections.Counter(word for text in texts for word in re.findall(r"\w+|[^\w\s]", text.lower()))
    letters = string.ascii_lowercase + string.digits
    words = sorted(word for word, count in counts.items() if count >= 3 and word.isascii() and len(word) > 1)
    pieces = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters), *string.punctuation, *words]
    return BertTokenizer({piece: index for index, piece in enumerate(pieces)}, model_max_length=length, **special)
