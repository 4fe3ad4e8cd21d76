"""Painters against the pipelines that they go through, on checkpoints of random weights."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
import torch

from models.adapters.catalogue import CATALOGUE, build
from models.adapters.decoding import Decoding
from models.adapters.requests import Paint
from models.media.images import decode_png
from models.pocket import WEIGHTS
from tests.models.painters.conftest import MAKERS

pytestmark = pytest.mark.usefixtures("one_thread")

LENGTHS = {"stable-diffusion-3": 4, "flux": 8, "pixart-alpha": 8}
TEXTS = ["a star", "a red ring", "a star", "x " * 40]


def painter(make_painted, adapter, **settings):
    least = {"steps": 2, "guidance": 4.0, "resolution": 16, "micro_batch": 2}
    if adapter in LENGTHS:
        least["max_sequence_length"] = LENGTHS[adapter]
    made = build("painters", "mine", {"adapter": adapter, "checkpoint": make_painted(adapter)} | least | settings)
    made.load()
    return made


@pytest.fixture(params=list(MAKERS))
def adapter(request):
    return request.param


def test_all_of_the_catalogue_are_tested():
    assert set(MAKERS) == set(CATALOGUE["painters"])


def test_a_painting_is_that_of_the_pipeline_called_with_the_text(make_painted, adapter):
    """Witness: the pipeline by hand, with the text instead of its encoding."""
    made = painter(make_painted, adapter, micro_batch=1)
    (found,) = made.paint(["a star"], [5])
    options = {"max_sequence_length": LENGTHS[adapter]} if adapter in LENGTHS else {}
    if adapter == "pixart-alpha":
        options |= {"use_resolution_binning": False, "clean_caption": False}
    (expected,) = made._pipeline(
        "a star", height=16, width=16, num_inference_steps=2, guidance_scale=4.0, output_type="np",
        generator=torch.Generator().manual_seed(5), **options,
    ).images  # fmt: skip
    assert found.shape == (16, 16, 3) and found.dtype == np.uint8
    assert np.array_equal(found, np.rint(expected * 255))


def test_an_item_depends_on_its_text_and_seed_and_not_on_its_batch(make_painted, adapter):
    made = painter(make_painted, adapter)
    together = made.paint(TEXTS, [1, 2, 3, 4])
    apart = [made.paint([text], [seed])[0] for text, seed in zip(TEXTS, [1, 2, 3, 4], strict=True)]
    backwards = made.paint(TEXTS[::-1], [4, 3, 2, 1])[::-1]
    for one, two, three in zip(together, apart, backwards, strict=True):
        assert np.array_equal(one, two) and np.array_equal(one, three)
    assert not np.array_equal(together[0], together[2])
    assert np.array_equal(made.paint(["a star"], [1])[0], together[0])
    assert not np.array_equal(made.paint(["a red ring"], [1])[0], together[0])


def test_each_distinct_text_is_encoded_once_and_silently(make_painted, adapter, caplog):
    made = painter(make_painted, adapter)
    caplog.clear()  # of what was said when the checkpoint was made
    encode = made._pipeline.encode_prompt
    said = []

    def spy(prompt=None, *args, **kwargs):
        if prompt is not None:
            said.append(prompt)
        return encode(prompt, *args, **kwargs)

    with patch.object(made._pipeline, "encode_prompt", spy):
        made.paint(TEXTS, [1, 2, 3, 4])
    assert said == ["a star", "a red ring", "x " * 40]
    assert not caplog.records


@pytest.mark.parametrize("name", ["stable-diffusion", "stable-diffusion-xl", "stable-diffusion-3", "pixart-alpha"])
def test_guidance_leads_away_from_the_negative_prompt(make_painted, name):
    plain, refusing = painter(make_painted, name), painter(make_painted, name, negative_prompt="a moon")
    assert plain.identity() != refusing.identity()
    assert not np.array_equal(plain.paint(["a star"], [1])[0], refusing.paint(["a star"], [1])[0])


def test_flux_takes_no_negative_prompt():
    with pytest.raises(ValueError, match="negative_prompt"):
        build("painters", "mine", {"adapter": "flux", "checkpoint": "x", "negative_prompt": "a moon"})


def test_sdxl_without_a_negative_prompt_is_guided_away_from_zeros(make_painted):
    """As its pipeline is, by the checkpoint's ``force_zeros_for_empty_prompt``."""
    assert not any(one.any() for one in painter(make_painted, "stable-diffusion-xl")._negative.values())


def test_without_a_resolution_it_paints_at_the_size_it_was_trained_at(make_painted):
    made = painter(make_painted, "stable-diffusion-3", resolution=None)
    assert made.paint(["a star"], [0])[0].shape == (32, 32, 3)


def test_a_resolution_that_does_not_fit_is_named_with_the_nearest(make_painted):
    with pytest.raises(ValueError, match=r"resolution 18 is not a multiple of 8.*take 16"):
        painter(make_painted, "stable-diffusion-3", resolution=18)


@pytest.mark.parametrize(
    ("adapter", "other"), [("stable-diffusion", "stable-diffusion-xl"), ("stable-diffusion-xl", "stable-diffusion")]
)
def test_sd_and_sdxl_which_share_a_denoiser_are_told_apart(make_painted, adapter, other):
    with pytest.raises(ValueError, match="only one has a text_encoder_2: choose the adapter that suits it"):
        build("painters", "mine", {"adapter": adapter, "checkpoint": make_painted(other)}).load()


@pytest.mark.parametrize(
    ("adapter", "pocket", "said"),
    [
        ("stable-diffusion", "sd2-inpaint", "its unet reads 9 channels where a latent has 4"),
        ("stable-diffusion-3", "sd3-inpaint", "its transformer reads 33 channels where a latent has 16"),
    ],
)
def test_a_checkpoint_that_repaints_is_no_painter(adapter, pocket, said):
    with pytest.raises(ValueError, match=said):
        build("painters", "mine", {"adapter": adapter, "checkpoint": str(WEIGHTS / pocket)}).load()


def test_a_checkpoint_of_another_family_is_refused(make_painted):
    with pytest.raises(ValueError, match="without a transformer of class FluxTransformer2DModel"):
        painter(make_painted, "flux", checkpoint=make_painted("stable-diffusion-3"))


def test_requests_to_paint_are_answered(make_painted):
    made = painter(make_painted, "stable-diffusion-3")
    answers = Paint.answers(made, [Paint("painter", "a star"), Paint("painter", "a ring")], Decoding(), [1, 2])
    assert np.array_equal(decode_png(answers[1][1]), made.paint(["a ring"], [2])[0])
