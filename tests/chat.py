"""What toy checkpoints of chat models are told with: a template as Qwen's, and a tokenizer of few words."""

from __future__ import annotations

import string
from collections.abc import Iterable
from typing import Any

LETTERS = (*string.ascii_lowercase, *(f"##{letter}" for letter in string.ascii_lowercase))
"""What every word can be put together of."""

CHAT = """\
{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}\
{% for part in message['content'] %}{{ IMAGE if part['type'] == 'image' else part['text'] }}{% endfor %}\
{{ '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""
"""A chat template as Qwen's, where IMAGE stands for what marks a picture."""

TEXT_CHAT = """\
{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}\
{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' + ('lo ' if brief else '') }}{% endif %}"""
"""The same for models that take text only; with ``brief``, the assistant has said one word already."""


def chat_tokenizer(special: Iterable[str], words: Iterable[str]) -> Any:
    """Words, and the tokens that mark messages and pictures; these, ``special``, get the ids from 3 on."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = dict.fromkeys(["<|endoftext|>", "<|im_start|>", "<|im_end|>", *special, "<unk>", *words])
    core = Tokenizer(models.WordPiece({piece: index for index, piece in enumerate(pieces)}, unk_token="<unk>"))
    core.normalizer, core.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    core.decoder = decoders.WordPiece(cleanup=True)
    return PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="<unk>", pad_token="<|endoftext|>", eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>", *special],
    )  # fmt: skip
