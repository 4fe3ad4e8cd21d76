from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.captioners.blip import Blip
from models.pocket import WEIGHTS

pytestmark = pytest.mark.usefixtures("one_thread")
POCKET = WEIGHTS / "blip"


def captioner(checkpoint: str | Path, **settings) -> Blip:
    made = Blip(Blip.Settings(checkpoint=str(checkpoint), **({"max_tokens": 10} | settings)))
    made.load()
    return made


@pytest.fixture(scope="module")
def blip(checkpoint: str) -> Blip:
    return captioner(checkpoint)


def say(
    blip: Blip, pictures: list[np.ndarray], size: int | None = None, seeds: list[int] | None = None
) -> list[list[str]]:
    seeds, said = seeds or [0] * len(pictures), []
    for start in range(0, len(pictures), size or len(pictures)):
        some = slice(start, start + (size or len(pictures)))
        said += blip.caption(pictures[some], [""] * len(pictures[some]), seeds[some])
    return said


@pytest.mark.parametrize("size", [1, 3, 16])
def test_the_batch_makes_no_difference(blip, pictures, size):
    some = pictures(14) + pictures(1, 20, 50) + pictures(1, 1, 1)
    captions = say(blip, some)
    assert len({tuple(texts) for texts in captions}) > 10, "pictures must differ for this test to mean something"
    assert say(blip, some, size) == captions
    assert say(blip, some[::-1], size) == captions[::-1]


def test_every_search_has_the_same_shape(blip, pictures, monkeypatch):
    shapes, generate = [], blip._model.generate
    monkeypatch.setattr(blip._model, "generate", lambda pixel_values, **more: (
        shapes.append(tuple(pixel_values.shape)), generate(pixel_values=pixel_values, **more))[1])  # fmt: skip
    say(blip, pictures(11))
    say(blip, pictures(1))
    assert shapes == [(8, 3, 32, 32)] * 3


def test_transformers_called_by_hand_says_the_same(checkpoint, pictures):
    """Witness: model and processor as BLIP's documentation calls them, one picture at a time."""
    from transformers import BlipForConditionalGeneration, BlipProcessor

    model = BlipForConditionalGeneration.from_pretrained(checkpoint)
    processor = BlipProcessor.from_pretrained(checkpoint)
    some = pictures(4)
    for picture, said in zip(some, say(captioner(checkpoint, beams=4, micro_batch=1), some), strict=True):
        inputs = processor(Image.fromarray(picture), return_tensors="pt")
        ids = model.generate(**inputs, num_beams=4, num_return_sequences=3, max_new_tokens=10, do_sample=False)
        assert said == [processor.decode(row, skip_special_tokens=True) for row in ids]


def test_candidates_come_best_first(checkpoint, blip, pictures):
    """Law: the mean log-probability of the words said, end included, falls from candidate to candidate."""
    (texts,) = say(blip, pictures(1))
    assert len(texts) == len(set(texts)) == 3
    tokenizer, scores = blip._processor.tokenizer, []
    pixels = blip._processor(images=Image.fromarray(pictures(1)[0]), return_tensors="pt")["pixel_values"]
    for text in texts:
        words = tokenizer(text, add_special_tokens=False)["input_ids"]
        ids = torch.tensor([[tokenizer.bos_token_id, *words, tokenizer.sep_token_id][:11]])
        with torch.no_grad():
            logits = blip._model(pixel_values=pixels, input_ids=ids).logits
        scores.append(logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None]).mean().item())
    assert scores == sorted(scores, reverse=True)


def test_captions_are_plain_words(blip, pictures):
    for text in itertools.chain.from_iterable(say(blip, pictures(4))):
        assert text == text.strip() and "[" not in text and 1 <= len(text.split()) <= 10


def test_prompts_and_seeds_are_not_used(blip, pictures):
    (picture,) = pictures(1)
    assert blip.caption([picture], ["a photo of"], [1]) == blip.caption([picture], [""], [2])


def test_sampled_captions_are_their_seeds_whatever_the_batch(checkpoint, pictures):
    blip, some, seeds = captioner(checkpoint, sample=True), pictures(4) * 3, list(range(12))
    captions = say(blip, some, seeds=seeds)
    assert len({tuple(texts) for texts in captions}) == 12, "equal pictures with other seeds get other captions"
    assert say(blip, some, 1, seeds) == say(blip, some, 5, seeds) == captions
    assert say(blip, some[::-1], seeds=seeds[::-1]) == captions[::-1]
    more = say(captioner(checkpoint, sample=True, candidates=9), some, seeds=seeds)
    assert [texts[:3] for texts in more] == captions


def test_no_pictures_no_captions(blip):
    assert blip.caption([], [], []) == []


def test_one_beam_is_greedy(checkpoint, pictures):
    (texts,) = say(captioner(checkpoint, beams=1, candidates=1), pictures(1))
    assert len(texts) == 1


def test_every_position_of_the_decoder_can_be_used(checkpoint, pictures):
    assert say(captioner(checkpoint, max_tokens=12), pictures(1))[0][0]
    with pytest.raises(ValueError, match="max_tokens is 13, but the decoder of .* has only 12 positions"):
        captioner(checkpoint, max_tokens=13)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_lower_precision_is_another_item(checkpoint, blip, pictures, dtype):
    low = captioner(checkpoint, dtype=dtype)
    assert len(say(low, pictures(1))[0]) == 3
    assert low.identity()["dtype"] == dtype != blip.identity()["dtype"]


def test_loading_and_captioning_print_nothing(checkpoint, pictures, capfd, caplog):
    say(captioner(checkpoint), pictures(1))
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_identity_needs_no_loading_and_names_what_matters(checkpoint):
    plain = Blip(Blip.Settings(checkpoint=checkpoint)).identity()
    assert plain["checkpoint"].startswith("sha256:") and checkpoint not in str(plain)
    for change in ({"beams": 5}, {"candidates": 2}, {"max_tokens": 9}, {"length_penalty": 0.0}, {"dtype": "float16"},
                   {"micro_batch": 4}):  # fmt: skip
        assert Blip(Blip.Settings(checkpoint=checkpoint, **change)).identity() != plain


def test_the_identity_is_that_of_version_1(checkpoint):
    """Written down before there was sampling: items made then are recalled as long as this holds."""
    identity = Blip(Blip.Settings(checkpoint=checkpoint)).identity()
    del identity["checkpoint"]
    assert Blip.VERSION == 1
    assert identity == {"beams": 6, "candidates": 3, "max_tokens": 40, "length_penalty": 1.0, "dtype": "float32",
                        "micro_batch": 8}  # fmt: skip


def test_another_architecture_is_named(llava_checkpoint):
    with pytest.raises(ValueError, match="is of type 'llava_onevision', and 'blip' is needed: take one that"):
        captioner(llava_checkpoint)


def test_a_checkpoint_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        captioner(tmp_path / "nowhere")


def test_the_pocket_checkpoint_captions_scenes_whatever_the_batch():
    from models.worlds.grammar import agreement, parse
    from models.worlds.scenes import scene

    blip = captioner(POCKET, max_tokens=40)
    scenes = [scene(0, index) for index in range(17)]
    captions = say(blip, [one.picture for one in scenes])
    assert captions == say(blip, [one.picture for one in scenes], 1)
    scores = [agreement(parse(texts[0]), one.graph) for texts, one in zip(captions, scenes, strict=True)]
    assert np.mean([score["attributes"] for score in scores]) > 0.6  # blind guessing finds a quarter of them
