"""Vocabularies of the captions that a pocket model learns from: BERT's word pieces, and CLIP's byte pairs."""

from __future__ import annotations

import collections
import json
import re
import string
from collections.abc import Iterable, Sequence
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE, WordPiece
from tokenizers.trainers import BpeTrainer
from transformers import BertTokenizer, CLIPTokenizer, PreTrainedTokenizerFast

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]")
"""BERT's, and BLIP's two. Their places in this row are their ids."""


def tokenizer(texts: Iterable[str], length: int, **special: Any) -> BertTokenizer:
    """Every word that occurs three times, and letters for the others; texts are cut at ``length`` tokens.

    >>> tokenizer(["a ring", "a ring", "the ring"], 8).tokenize("a ring there")
    ['a', 'ring', 't', '##h', '##e', '##r', '##e']
    """
    pieces = [*SPECIAL, *_pieces(texts)]
    return BertTokenizer({piece: index for index, piece in enumerate(pieces)}, model_max_length=length, **special)


def _pieces(texts: Iterable[str]) -> list[str]:
    counts = collections.Counter(word for text in texts for word in re.findall(r"\w+|[^\w\s]", text.lower()))
    letters = string.ascii_lowercase + string.digits
    words = sorted(word for word, count in counts.items() if count >= 3 and word.isascii() and len(word) > 1)
    return [*letters, *(f"##{letter}" for letter in letters), *string.punctuation, *words]


def chat_tokenizer(
    texts: Iterable[str], special: Sequence[str], length: int, tags: Sequence[str] = ()
) -> PreTrainedTokenizerFast:
    """Word pieces with the turn marks of Qwen's chats; ``special`` tokens stand for pictures, ``tags`` are words of
    their own.

    >>> found = chat_tokenizer(["describe the ring"] * 3, ["<image>"], 32)
    >>> ids = found("<|im_start|>user <image> describe the ring<|im_end|>")["input_ids"]
    >>> found.decode(ids, skip_special_tokens=True)
    'user describe the ring'
    """
    pieces = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *special, "<unk>", *tags,
              *_pieces([*texts, *["user assistant"] * 3])]  # fmt: skip
    core = Tokenizer(WordPiece({p: i for i, p in enumerate(dict.fromkeys(pieces))}, unk_token="<unk>"))
    core.normalizer = normalizers.BertNormalizer()
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    core.add_tokens([AddedToken(tag, normalized=False) for tag in tags])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, model_max_length=length, padding_side="left", unk_token="<unk>",
        pad_token="<|endoftext|>", eos_token="<|im_end|>", additional_special_tokens=["<|im_start|>", *special],
    )  # fmt: skip


def clip_tokenizer(texts: Iterable[str], length: int, size: int = 1100) -> CLIPTokenizer:
    """CLIP's byte-level BPE with merges learnt from the texts; prompts are cut at ``length`` tokens.

    >>> clip_tokenizer(["a ring"] * 3, 8).tokenize("A ring")
    ['a</w>', 'ring</w>']
    """
    learner = CLIPTokenizer().backend_tokenizer
    learner.model = BPE(end_of_word_suffix="</w>")
    trainer = BpeTrainer(
        vocab_size=size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    learner.train_from_iterator([text.lower() for text in texts], trainer)
    merges: list[Any] = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(pair) for pair in merges)]
    pieces = [*dict.fromkeys(pieces), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer({piece: i for i, piece in enumerate(pieces)}, merges, model_max_length=length)
