"""Models from text to text, against transformers' own classes called by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.adapters.catalogue import build
from models.adapters.decoding import Decoding
from models.adapters.roles import Turn
from tests.chat import chat_tokenizer
from tests.models.conftest import WORDS, save

pytestmark = pytest.mark.usefixtures("one_thread")
TEXTS = ("ba de fi", "ko", "Generate Scene Graph: lo mu", "ko lo mu ba", "fi", "de")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> str:
    """A T5 of two layers."""
    from transformers import T5Config, T5ForConditionalGeneration

    tokenizer = chat_tokenizer([], WORDS)
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=16, d_ff=48, num_layers=2, num_heads=2, initializer_factor=4.0,
        feed_forward_proj="gated-gelu", decoder_start_token_id=0, pad_token_id=0, eos_token_id=2,
    )  # fmt: skip
    return save(T5ForConditionalGeneration(config), tokenizer, tmp_path_factory.mktemp("t5"))


@pytest.fixture(scope="module")
def chat(folder):
    made = build("chat", "parser", {"adapter": "seq2seq-lm", "checkpoint": folder, "micro_batch": 2})
    made.load()
    return made


@pytest.fixture(scope="module")
def by_hand(folder):
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    return AutoModelForSeq2SeqLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def test_replies_are_those_of_transformers_own_generate_whatever_comes_beside(chat, by_hand):
    model, tokenizer = by_hand
    for beams in (1, 3):
        decoding = Decoding(beams=beams, candidates=1, max_tokens=7)
        said = chat.answer([[Turn("user", text)] for text in TEXTS], decoding, [0] * len(TEXTS))
        for text, (reply,) in zip(TEXTS, said, strict=True):
            ids = model.generate(**tokenizer(text, return_tensors="pt"), num_beams=beams, max_new_tokens=7)
            assert reply.text == tokenizer.batch_decode(ids, skip_special_tokens=True)[0].strip()
    assert len({reply.text for (reply,) in said}) > 3


def test_log_probabilities_are_those_of_transformers_own_forward(chat, by_hand):
    model, tokenizer = by_hand
    asked = [[Turn("user", text)] for text in TEXTS]
    for text, (own, _) in zip(TEXTS, chat.log_probabilities(asked, ["ba ko"] * len(TEXTS)), strict=True):
        labels = tokenizer("ba ko", add_special_tokens=False, return_tensors="pt")["input_ids"]
        with torch.no_grad():  # given labels, transformers itself begins the reply and shifts it
            logits = model(**tokenizer(text, return_tensors="pt"), labels=labels).logits[0]
        witness = torch.log_softmax(logits, -1)[range(labels.shape[1]), labels[0]]
        assert own == pytest.approx(witness.numpy(), abs=2e-4)
    for shares in chat.choose(asked, [["ba", "ko lo"]] * len(TEXTS)):
        assert shares.sum() == pytest.approx(1)


def test_what_it_cannot_be_asked_is_refused(chat, causal_checkpoint):
    picture = np.zeros((8, 8, 3), np.uint8)
    for turns, why in (
        ([Turn("user", "ba", (picture,))], "seq2seq-lm takes no pictures"),
        ([Turn("user", "ba"), Turn("assistant", "de")], "asked one thing at a time, and got 2 turns"),
    ):
        with pytest.raises(ValueError, match=why):
            chat.answer([turns], Decoding(beams=1, candidates=1), [0])
    other = build("chat", "parser", {"adapter": "seq2seq-lm", "checkpoint": causal_checkpoint})
    with pytest.raises(ValueError, match="'qwen2', not a model from text to text"):
        other.load()
