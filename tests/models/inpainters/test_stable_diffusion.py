from __future__ import annotations

import numpy as np
import pytest

from models.inpainters.stable_diffusion import StableDiffusion
from models.pocket import WEIGHTS

pytestmark = pytest.mark.usefixtures("one_thread")
POCKET = WEIGHTS / "sd2-inpaint"


def painter(checkpoint: object, **settings) -> StableDiffusion:
    made = StableDiffusion(StableDiffusion.Settings(checkpoint=str(checkpoint), **({"steps": 2} | settings)))
    made.load()
    return made


def test_a_unet_of_neither_kind_is_refused(make_checkpoint):
    with pytest.raises(ValueError, match="5 input channels, neither of 9 .* nor of 4 .*the model's inpainting version"):
        painter(make_checkpoint("stable-diffusion", 5))


def test_a_pipeline_of_another_architecture_is_refused(make_checkpoint):
    with pytest.raises(ValueError, match="is a StableDiffusion3InpaintPipeline without a unet of class UNet2D"):
        painter(make_checkpoint("stable-diffusion-3", 33))


def test_a_spectrogram_is_repainted_by_what_was_not_trained_for_it(make_checkpoint):
    """Riffusion's way: 4 channels, a grey picture, a band of time to fill, a label as prompt."""
    rng = np.random.default_rng(0)
    clip = rng.integers(0, 256, (32, 32, 1), dtype=np.uint8).repeat(3, axis=2)
    mask = np.zeros((32, 32), bool)
    mask[:, 13:21] = True
    riffusion = painter(make_checkpoint("stable-diffusion", 4), strength=0.75, steps=4)
    jazz, rock, again = riffusion.inpaint([clip] * 3, [mask] * 3, ["jazz", "rock", "jazz"], [0] * 3)
    assert np.array_equal(jazz, again) and not np.array_equal(jazz[mask], rock[mask])
    assert not np.array_equal(jazz[mask], clip[mask])


def test_keys_of_items_stay_what_they_were():
    """Golden: what 0.1 wrote into keys, before there were other diffusion inpainters."""
    adapter = StableDiffusion(StableDiffusion.Settings(checkpoint="a/b", revision="0123456", steps=20))
    assert StableDiffusion.VERSION == 1
    assert adapter.identity() == {
        "checkpoint": "a/b", "revision": "0123456", "steps": 20, "guidance": 7.5, "strength": 1.0, "prompted": True,
        "negative_prompt": "", "dtype": "float32", "resolution": None, "micro_batch": 8,
    }  # fmt: skip


def test_the_pocket_checkpoint_repaints_scenes_whatever_the_batch(in_batches):
    from models.worlds.scenes import scene

    inpainter = painter(POCKET, steps=5, guidance=3)
    scenes = [scene(0, index) for index in range(9)]
    mask = np.zeros((64, 64), bool)
    mask[16:48, 16:48] = True
    degraded = [np.where(mask[..., None], 0, one.picture).astype(np.uint8) for one in scenes]
    inputs = degraded, [mask] * 9, [one.references[0] for one in scenes], list(range(9))
    results = inpainter.inpaint(*inputs)
    assert np.array_equal(results, in_batches(inpainter, 1, *inputs))
    assert not np.array_equal(results, inpainter.inpaint(*inputs[:2], [""] * 9, inputs[3]))
    originals = np.array([one.picture for one in scenes])[:, mask] / 255
    grey = ((originals - originals.mean()) ** 2).mean()
    assert ((np.array(results)[:, mask] / 255 - originals) ** 2).mean() < grey
