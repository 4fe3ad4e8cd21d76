"""What LLaVA-OneVision and Qwen2.5-VL have in common."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.adapters.roles import Turn
from models.captioners.prompted import LlavaOnevision, Prompted, Qwen25Vl
from models.media.images import encode_png

pytestmark = pytest.mark.usefixtures("one_thread")
DESCRIBE, ASK = "Describe the image.", "Is there a ko?"


@pytest.fixture(scope="module", params=[LlavaOnevision, Qwen25Vl])
def kind(request) -> type[Prompted]:
    return request.param


@pytest.fixture(scope="module")
def checkpoint(kind, llava_checkpoint, qwen_checkpoint) -> str:
    return llava_checkpoint if kind is LlavaOnevision else qwen_checkpoint


def captioner(kind: type[Prompted], checkpoint: str | Path, **settings) -> Prompted:
    made = kind(
        kind.Settings(checkpoint=str(checkpoint), **({"max_tokens": 8, "micro_batch": 4, "beams": 3} | settings))
    )
    made.load()
    return made


@pytest.fixture(scope="module")
def chat(kind, checkpoint) -> Prompted:
    return captioner(kind, checkpoint)


def say(chat: Prompted, items: list[tuple[np.ndarray, str, int]], size: int | None = None) -> list[list[str]]:
    said: list[list[str]] = []
    for start in range(0, len(items), size or len(items)):
        said += chat.caption(*zip(*items[start : start + (size or len(items))], strict=True))
    return said


def items(pictures) -> list[tuple[np.ndarray, str, int]]:
    """Three sizes, and prompts of three lengths."""
    some = [*pictures(6), *pictures(2, 24, 48), *pictures(1, 30, 17)]
    prompts = [DESCRIBE, DESCRIBE, ASK, DESCRIBE, DESCRIBE, DESCRIBE, DESCRIBE, ASK, "Lo!"]
    return list(zip(some, prompts, range(100, 109), strict=True))


@pytest.mark.parametrize("settings", [{}, {"sample": True}], ids=["beams", "sampled"])
def test_the_batch_makes_no_difference(kind, checkpoint, pictures, settings):
    chat, asked = captioner(kind, checkpoint, **settings), items(pictures)
    replies = say(chat, asked)
    assert len({tuple(texts) for texts in replies}) > 6, "pictures must differ for this test to mean something"
    assert say(chat, asked, 1) == say(chat, asked, 2) == replies
    assert say(chat, asked[::-1]) == replies[::-1]


def test_every_forward_has_full_rows_and_no_padding(chat, pictures, monkeypatch):
    batches, generate = [], chat.chat._model.generate
    monkeypatch.setattr(chat.chat._model, "generate", lambda **batch: (batches.append(batch), generate(**batch))[1])
    say(chat, items(pictures))
    assert [len(batch["input_ids"]) for batch in batches] == [4] * 6, "5 (4 and 1), 1, 1, 1 and 1 are alike"
    assert all(batch["attention_mask"].all() for batch in batches)


def test_an_example_is_a_conversation_before(kind, checkpoint, chat, pictures, tmp_path):
    """In-context learning: the captioned picture and the prompt come first, and are in the identity."""
    first, second = pictures(2)
    file = tmp_path / "first.png"
    file.write_bytes(encode_png(first))
    told = captioner(kind, checkpoint, example={"picture": file, "caption": "lo bi"})
    turns = [Turn("user", DESCRIBE, (first,)), Turn("assistant", "lo bi"), Turn("user", DESCRIBE, (second,))]
    ((*replies,),) = chat.chat.answer([turns], chat.settings.decoding, [0])
    assert told.caption([second], [DESCRIBE], [0]) == [[reply.text for reply in replies]]
    identity = told.identity()
    assert identity.keys() - chat.identity().keys() == {"example"}
    file.write_bytes(encode_png(second))
    assert told.identity() != identity, "the picture counts, not where it lies"


@pytest.mark.parametrize("beams", [1, 3])
def test_transformers_called_by_hand_says_the_same(kind, checkpoint, pictures, beams):
    """Witness: model and processor as their documentation calls them, one picture at a time."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(checkpoint)
    processor = AutoProcessor.from_pretrained(checkpoint)
    some = [*pictures(2), *pictures(1, 24, 48)]
    chat = captioner(kind, checkpoint, beams=beams, candidates=beams, micro_batch=1)
    for picture, said in zip(some, say(chat, [(one, DESCRIBE, 0) for one in some]), strict=True):
        image = {"type": "image", "image": Image.fromarray(picture)}
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": [image, {"type": "text", "text": DESCRIBE}]}],
            add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
        )  # fmt: skip
        ids = model.generate(**inputs, max_new_tokens=8, num_beams=beams, num_return_sequences=beams, do_sample=False)
        own = ids[:, inputs["input_ids"].shape[1] :]
        assert said == [text.strip() for text in processor.batch_decode(own, skip_special_tokens=True)]
        assert said[0]


def test_likeliest_words_by_a_loop_of_our_own(kind, checkpoint, pictures):
    """Witness: the whole sequence through the model for every word, no cache, no ``generate``."""
    chat, (picture,) = captioner(kind, checkpoint, beams=1, candidates=1, micro_batch=1), pictures(1)
    inputs = chat.chat._inputs([Turn("user", DESCRIBE, (picture,))])
    start = inputs["input_ids"].shape[1]
    for _ in range(8):
        with torch.no_grad():
            word = chat.chat._model(**inputs).logits[:, -1:].argmax(-1)
        if word.item() == chat.chat._processor.tokenizer.eos_token_id:
            break
        for name, value in {"input_ids": word, "attention_mask": torch.ones_like(word),
                            "mm_token_type_ids": torch.zeros_like(word)}.items():  # fmt: skip
            if name in inputs:
                inputs[name] = torch.cat([inputs[name], value], 1)
    own = chat.chat._processor.decode(inputs["input_ids"][0, start:], skip_special_tokens=True)
    assert say(chat, [(picture, DESCRIBE, 0)]) == [[own.strip()]]


def test_prompts_matter(chat, pictures):
    (picture,) = pictures(1)
    one, other = say(chat, [(picture, DESCRIBE, 0), (picture, ASK, 0)])
    assert one != other


def test_seeds_matter_only_when_sampling(kind, checkpoint, chat, pictures):
    (picture,) = pictures(1)
    same = [(picture, DESCRIBE, 1), (picture, DESCRIBE, 1), (picture, DESCRIBE, 2)]
    first, again, other = say(chat, same)
    assert first == again == other
    first, again, other = say(captioner(kind, checkpoint, sample=True), same)
    assert first == again != other
    more = say(captioner(kind, checkpoint, sample=True, candidates=5), same[:1])
    assert more[0][:3] == first and len(set(more[0])) > 1


def test_a_checkpoints_own_way_of_choosing_words_is_left_aside(kind, checkpoint, chat, pictures, tmp_path):
    """As Qwen2.5-VL is published: a repetition penalty, and sampling that is next to none."""
    shutil.copytree(checkpoint, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "generation_config.json"
    own = {"do_sample": True, "repetition_penalty": 5.0, "temperature": 1e-6, "num_beams": 2, "max_length": 3}
    path.write_text(json.dumps(json.loads(path.read_text()) | own))
    some = [(picture, DESCRIBE, 0) for picture in pictures(3)]
    assert say(captioner(kind, tmp_path), some) == say(chat, some)


def test_no_pictures_no_replies(chat):
    assert chat.caption([], [], []) == []


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_lower_precision_is_another_item(kind, checkpoint, chat, pictures, dtype):
    low = captioner(kind, checkpoint, dtype=dtype)
    assert len(say(low, [(pictures(1)[0], DESCRIBE, 0)])[0]) == 3
    assert low.identity()["dtype"] == dtype != chat.identity()["dtype"]


def test_eager_attention_says_the_same_here(kind, checkpoint, chat, pictures):
    eager, some = captioner(kind, checkpoint, attention="eager"), [(picture, DESCRIBE, 0) for picture in pictures(2)]
    assert eager.chat._model.config.text_config._attn_implementation == "eager"
    assert say(eager, some) == say(chat, some)


def test_loading_and_captioning_print_nothing(kind, checkpoint, pictures, capfd, caplog):
    for settings in ({}, {"sample": True}):
        say(captioner(kind, checkpoint, **settings), items(pictures))
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_identity_needs_no_loading_and_names_what_matters(kind, checkpoint):
    def identity(**settings) -> dict:
        return kind(kind.Settings(checkpoint=checkpoint, **settings)).identity()

    assert identity()["checkpoint"].startswith("sha256:") and checkpoint not in str(identity())
    for change in ({"beams": 5}, {"candidates": 2}, {"max_tokens": 9}, {"length_penalty": 0.0}, {"dtype": "float16"},
                   {"micro_batch": 4}, {"attention": "eager"}, {"sample": True}):  # fmt: skip
        assert identity(**change) != identity()
    for change in ({"prompt": "Well?"}, {"box_prompt": "Well?"}, {"top_p": 0.5}, {"temperature": 0.5}):
        assert identity(**change) == identity(), "the prompt is in the item's own key, and nothing is sampled"
    assert identity(sample=True, top_p=0.5) != identity(sample=True)
    assert identity(sample=True, beams=3) == identity(sample=True)


def test_another_architecture_is_named(kind, llava_checkpoint, qwen_checkpoint, tmp_path):
    other = qwen_checkpoint if kind is LlavaOnevision else llava_checkpoint
    found = "qwen2_5_vl" if kind is LlavaOnevision else "llava_onevision"
    with pytest.raises(ValueError, match=f"is of type '{found}', and '{kind.MODEL.TYPE}' is needed: take one that"):
        captioner(kind, other)
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(ValueError, match=f"is of type None, and '{kind.MODEL.TYPE}' is needed"):
        captioner(kind, tmp_path)


def test_weights_that_are_missing_are_named(kind, checkpoint, tmp_path):
    from safetensors.torch import load_file, save_file

    shutil.copytree(checkpoint, tmp_path, dirs_exist_ok=True)
    weights = load_file(tmp_path / "model.safetensors")
    del weights[next(name for name in weights if name.endswith("q_proj.weight"))]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match="lacks 1 weights of a .*q_proj.weight' first: take one that was saved whole"):
        captioner(kind, tmp_path)


def test_a_checkpoint_without_a_chat_template_is_refused(kind, checkpoint, tmp_path):
    shutil.copytree(checkpoint, tmp_path, dirs_exist_ok=True)
    (tmp_path / "chat_template.jinja").unlink()
    with pytest.raises(ValueError, match=r"has no chat template: add its chat_template\.jinja"):
        captioner(kind, tmp_path)


def test_too_many_tokens_are_refused(kind, checkpoint, pictures):
    with pytest.raises(ValueError, match="max_tokens is 256, but the decoder of .* has only 256 positions"):
        captioner(kind, checkpoint, max_tokens=256)
    chat = captioner(kind, checkpoint, max_tokens=200)
    with pytest.raises(ValueError, match="A picture of 32 x 20 pixels and its prompt are .* over the 256 positions"):
        say(chat, [(pictures(1, 20, 32)[0], "Do " * 40, 0)])
