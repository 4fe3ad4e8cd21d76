"""The shipped checkpoints load through ``from_pretrained`` and do on unseen scenes what their cards say.

Thresholds lie under the cards' figures by what 32 scenes can scatter.
"""

import importlib
import json

import numpy as np
import pytest
import torch

from models.pocket import RECIPES, WEIGHTS
from models.pocket.worlds.grammar import agreement, parse
from models.pocket.worlds.scenes import scene

COUNT = 32
SEED = 3


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def unseen():
    """Scenes of a seed that neither the recipes nor the cards use."""
    from models.pocket.data import Examples

    made = [scene(SEED, index) for index in range(2 * COUNT)]
    return Examples(np.stack([s.picture for s in made]), [s.references for s in made], [s.graph for s in made])


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_has_shipped_its_model_and_card(name):
    module, _, kind = RECIPES[name].partition(":")
    recipe = getattr(importlib.import_module(module), kind)
    card = (WEIGHTS / recipe.folder / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\n") and f"palimpsest train {name}" in card
    assert list((WEIGHTS / recipe.folder).rglob("*.safetensors"))


def test_the_weights_stay_small():
    sizes = [path.stat().st_size for path in WEIGHTS.rglob("*") if path.is_file()]
    assert max(sizes) < 8e6 and sum(sizes) < 18e6


def test_blip_says_what_is_there(unseen):
    from transformers import BlipForConditionalGeneration, BlipProcessor

    model = BlipForConditionalGeneration.from_pretrained(WEIGHTS / "blip").eval()
    processor = BlipProcessor.from_pretrained(WEIGHTS / "blip")
    assert model.dtype == torch.float32
    inputs = processor(images=list(unseen.pictures[:COUNT]), return_tensors="pt")
    with torch.inference_mode():
        ids = model.generate(**inputs, num_beams=3, max_new_tokens=40)
    captions = processor.batch_decode(ids, skip_special_tokens=True)
    scores = [agreement(parse(text), graph) for text, graph in zip(captions, unseen.annotations, strict=False)]
    assert np.mean([score["attributes"] for score in scores]) > 0.9
    assert np.mean([score["precision"] for score in scores]) > 0.9


def test_the_inpainter_paints_what_the_prompt_says(unseen):
    from diffusers import StableDiffusionInpaintPipeline

    from models.pocket.repainting import judge

    pipeline = StableDiffusionInpaintPipeline.from_pretrained(WEIGHTS / "sd2-inpaint")
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline.unet.config.in_channels == 9
    figures = judge(pipeline, unseen, WEIGHTS, COUNT)
    assert figures["prompted attributes"] > 0.62 > figures["unprompted attributes"]
    assert figures["prompted mse"] < min(figures["telea mse"], figures["navier-stokes mse"])
    assert figures["autoencoder attributes"] > 0.95


def test_sbert_finds_the_other_wording(unseen):
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(WEIGHTS / "sbert"), device="cpu")
    first, last = (model.encode([texts[k] for texts in unseen.captions]) for k in (0, 4))
    assert np.allclose(np.linalg.norm(first, axis=1), 1, atol=1e-5)
    assert ((last @ first.T).argmax(1) == np.arange(len(first))).mean() > 0.8


def test_the_trunk_fits_lpips_and_grows_with_the_distortion(unseen):
    """An identical picture is at distance 0; more noise is farther; the distance is symmetric."""
    from models.measures.perceptual import Lpips

    measure = Lpips(Lpips.Settings(net="squeeze", weights=str(WEIGHTS / "squeezenet")))
    measure.load()
    pictures, whole = list(unseen.pictures[:4]), [np.ones((64, 64), bool)] * 4
    noise = np.random.default_rng(0).standard_normal((64, 64, 3))
    noisy = [[np.clip(p + level * noise, 0, 255).astype(np.uint8) for p in pictures] for level in (0, 8, 24, 72)]
    table = [[one["lpips"]["whole"] for one in measure.measure(pictures, some, whole)] for some in noisy]
    assert table[0] == [0, 0, 0, 0]
    assert (np.diff(table, axis=0) > 0).all()
    back = [one["lpips"]["whole"] for one in measure.measure(noisy[2], pictures, whole)]
    assert back == pytest.approx(table[2], rel=1e-5)


def test_the_probe_names_every_object(unseen):
    from models.pocket.probe import CROP, classes, crop, load, named

    assert json.loads((WEIGHTS / "probe" / "config.json").read_text())["crop"] == CROP
    pairs = [(p, t) for p, g in zip(unseen.pictures, unseen.annotations, strict=True) for t in g["objects"]]
    crops = np.stack([crop(picture, thing["box"], CROP) for picture, thing in pairs])
    right = named(load(WEIGHTS / "probe"), crops) == classes([thing for _, thing in pairs])
    assert right.float().mean() > 0.99
