"""Thoughts are no reply: of servers that leave them in, of models in process, and of templates that open them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from models.chat.causal_lm import CausalLm
from models.chat.completions import replies
from models.chat.prompts import Prompt

CUT = "cut off while the model was still thinking: raise `max_tokens`"


def said(text: str, finish: str = "stop") -> list[dict]:
    return [{"message": {"content": text}, "finish_reason": finish}]


@pytest.mark.parametrize(
    "text",
    [
        "<think>\nA dog? It climbs.\n</think>\n\nA cat.",
        "<think>\n\n</think>\n\nA cat.",
        "It climbs.\n</think>\nA cat.",
        "<think>one</think><think>two</think>A cat.",
        "A cat.",
    ],
    ids=["thoughts", "none", "opened by the template", "twice", "no tags"],
)
def test_a_servers_reply_is_what_stands_behind_its_thoughts(text):
    assert [reply.text for reply in replies(said(text), 1, "caption", None)] == ["A cat."]


def test_a_servers_reply_that_was_cut_inside_its_thoughts_has_failed():
    with pytest.raises(ValueError, match=CUT):
        replies(said("<think>\nA dog? It", "length"), 1, "caption", None)
    with pytest.raises(ValueError, match="is empty"):
        replies(said("<think>A cat.</think>"), 1, "caption", None)


class Words:
    """A tokenizer of two words, whose prompts end as a template ends them."""

    def __init__(self, end: str, texts: list[str]) -> None:
        self.end, self.texts = end, texts

    def decode(self, ids: torch.Tensor) -> str:
        return self.end

    def batch_decode(self, ids: torch.Tensor, skip_special_tokens: bool) -> list[str]:
        return self.texts


@pytest.mark.parametrize(
    ("end", "texts", "expected"),
    [
        ("<|assistant|>", ["<think>hm</think> A cat."], ["A cat."]),
        ("<|assistant|>\n<think>\n", ["hm</think> A cat."], ["A cat."]),
        ("<|assistant|>", ["A cat."], ["A cat."]),
        ("<|assistant|>\n<think>\n", ["hm, a dog"], None),
        ("<|assistant|>", ["<think>hm, a dog"], None),
    ],
)
def test_a_model_in_process_is_read_alike(end, texts, expected):
    chat = CausalLm(CausalLm.Settings(checkpoint="none"))
    chat._tokenizer = chat._processor = Words(end, texts)
    chat._model = SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=0))
    prompts = [Prompt({"input_ids": torch.ones((1, 3), dtype=torch.long)}, ())]
    ids = torch.zeros((1, 2), dtype=torch.long)
    if expected is None:
        with pytest.raises(ValueError, match=CUT):
            chat._replies(ids, prompts)
    else:
        assert [reply.text for reply in chat._replies(ids, prompts)] == expected
