"""What language models without eyes have of their own; see test_in_process.py for the rest."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from models.adapters.decoding import Decoding
from models.adapters.roles import Turn
from models.chat.causal_lm import CausalLm

pytestmark = pytest.mark.usefixtures("one_thread")
GREEDY = Decoding(beams=1, candidates=1, max_tokens=8)


def loaded(checkpoint: str, **settings) -> CausalLm:
    made = CausalLm(CausalLm.Settings(checkpoint=str(checkpoint), micro_batch=1, **settings))
    made.load()
    return made


def test_a_picture_is_refused_in_one_sentence(causal_checkpoint):
    with pytest.raises(ValueError) as caught:
        loaded(causal_checkpoint).answer([[Turn("user", "what is it", (np.zeros((8, 8, 3), np.uint8),))]], GREEDY, [0])
    assert str(caught.value) == (
        "causal-lm takes no pictures, and was asked about one: let a model answer that sees, such as qwen2.5-vl, "
        f"instead of {causal_checkpoint!r}"
    )


def test_variables_of_the_template_are_given_and_in_the_identity(causal_checkpoint):
    question = [[Turn("user", "ba de fi")]]
    plain, brief = loaded(causal_checkpoint), loaded(causal_checkpoint, template={"brief": True})
    ((one, _),), ((other, _),) = (model.log_probabilities(question, ["ko"]) for model in (plain, brief))
    ((begun, _),) = plain.log_probabilities([[*question[0], Turn("assistant", "lo")]], ["ko"])
    assert other == pytest.approx(begun, abs=1e-5) and one[0] != other[0]
    assert plain.identity() != brief.identity()


def test_another_kind_of_model_is_refused(qwen_checkpoint, checkpoint):
    for other in (qwen_checkpoint, checkpoint):
        with pytest.raises(ValueError, match="not a causal language model: take one that transformers reads as"):
            loaded(other)


def test_what_counts_its_positions_from_the_left_is_not_filled_up_there(causal_checkpoint, tmp_path):
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

    tokenizer = AutoTokenizer.from_pretrained(causal_checkpoint)
    GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), n_embd=8, n_layer=1, n_head=1)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded(tmp_path)
    with pytest.raises(ValueError, match="has no rotary positions, so nothing can be put before a conversation: leave"):
        loaded(tmp_path, pad=8)


def test_a_tokenizer_without_a_chat_template_is_refused(causal_checkpoint, tmp_path):
    shutil.copytree(causal_checkpoint, tmp_path, dirs_exist_ok=True)
    (tmp_path / "chat_template.jinja").unlink()
    with pytest.raises(ValueError, match=r"has no chat template: add its chat_template\.jinja"):
        loaded(tmp_path)


def test_a_model_without_a_padding_token_answers_quietly(causal_checkpoint, tmp_path, caplog, capfd):
    shutil.copytree(causal_checkpoint, tmp_path, dirs_exist_ok=True)
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        said = json.loads((tmp_path / name).read_text())
        for key in ("pad_token_id", "pad_token"):
            said.pop(key, None)
        (tmp_path / name).write_text(json.dumps(said))
    some = [[Turn("user", text)] for text in ("ba de fi", "ko", "lo mu")]
    asked = Decoding(beams=3, candidates=3, max_tokens=8)
    assert loaded(tmp_path).answer(some, asked, [0] * 3) == loaded(causal_checkpoint).answer(some, asked, [0] * 3)
    assert not caplog.records and capfd.readouterr() == ("", "")
