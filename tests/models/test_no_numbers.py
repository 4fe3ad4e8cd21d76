"""Models whose numbers overflow: their item fails, naming the way out, and is never a caption, a picture or a score.

Each test breaks one tensor of a pocket checkpoint as float16 breaks large ones.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from models.adapters.catalogue import build
from models.measures.captions.candidates import Corpus, candidates
from models.measures.embeddings.cosine import cosine
from models.measures.scoring import score_images
from models.media.images import from_float
from models.pocket import WEIGHTS
from models.worlds.scenes import scene

pytestmark = pytest.mark.usefixtures("one_thread")
WAY_OUT = "NaN.* bfloat16 or float32"
PICTURE = scene(0, 0).picture


@pytest.fixture
def broken(tmp_path: Path) -> Callable[[str, str, float], str]:
    """A pocket checkpoint in which a tensor holds one number throughout."""

    def make(name: str, tensor: str, value: float) -> str:
        shutil.copytree(WEIGHTS / name, tmp_path / name)
        for file in (tmp_path / name).rglob("*.safetensors"):
            state = load_file(file)
            if tensor in state:
                state[tensor] = np.full_like(state[tensor], value)
                save_file(state, file, metadata={"format": "pt"})
                return str(tmp_path / name)
        raise AssertionError(f"{name} has no {tensor}")

    return make


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_no_number_is_no_colour_and_no_likeness(bad):
    with pytest.raises(ValueError, match=WAY_OUT):
        from_float(np.full((1, 3, 2, 2), bad, np.float32))
    with pytest.raises(ValueError, match=WAY_OUT):
        cosine(np.array([bad, 1.0]), np.array([1.0, 2.0]))


def test_a_vae_that_overflows_paints_no_black(broken):
    checkpoint = broken("sd2-inpaint", "decoder.mid_block.resnets.0.conv1.weight", 6e4)
    painter = build("inpainters", "half", {"adapter": "stable-diffusion", "checkpoint": checkpoint, "steps": 1,
                                           "dtype": "float16"})  # fmt: skip
    painter.load()
    with pytest.raises(ValueError, match=WAY_OUT):
        painter.inpaint([PICTURE], [np.eye(64, dtype=bool)], [""], [0])


@pytest.mark.parametrize("decoding", [{"beams": 1}, {"beams": 3}, {"sample": True}], ids=str)
@pytest.mark.parametrize(
    ("adapter", "tensor"),
    [("qwen2.5-vl", "model.layers.0.mlp.down_proj.weight"), ("blip", "text_decoder.cls.predictions.bias")],
)
def test_a_captioner_whose_words_have_no_probability_says_nothing(broken, adapter, tensor, decoding):
    checkpoint = broken(adapter, tensor, np.nan)
    settings = {"adapter": adapter, "checkpoint": checkpoint, "candidates": 1, "max_tokens": 4}
    captioner = build("captioners", "half", settings | decoding)
    captioner.load()
    with pytest.raises(ValueError, match=WAY_OUT):
        captioner.caption([PICTURE], ["Describe the image."], [0])


def test_a_sentence_embedder_of_nan_scores_nothing(broken):
    """It gave 1.0 for every caption: ``min(1.0, NaN)`` is 1.0."""
    checkpoint = broken("sbert", "embeddings.LayerNorm.weight", np.nan)
    measure = build("measures", "sbert", {"adapter": "semantic", "checkpoint": checkpoint})
    measure.load()
    measure.fit(Corpus({"1": ["a cat"]}))
    with pytest.raises(ValueError, match=WAY_OUT):
        measure.score(candidates({"1": "a dog"}, {"1": ["a cat"]}))


def test_lpips_of_nan_is_unavailable(broken):
    weights = broken("squeezenet", "features.0.weight", np.nan)
    lpips = build("measures", "lpips", {"adapter": "lpips", "net": "squeeze", "weights": weights})
    scores = score_images(PICTURE, PICTURE[::-1], metrics=["lpips", "mse"], lpips=lpips)
    assert scores.keys() == {"mse", "unavailable"} and "NaN" in scores["unavailable"]["lpips"]
