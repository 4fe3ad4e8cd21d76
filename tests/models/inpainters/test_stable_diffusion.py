from __future__ import annotations

import itertools
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from PIL import Image

from models.inpainters import stable_diffusion
from models.inpainters.stable_diffusion import StableDiffusion
from models.pocket import WEIGHTS

pytestmark = pytest.mark.usefixtures("one_thread")
POCKET = WEIGHTS / "sd-inpaint"
PROMPTS = ["a red circle", "two blue stars", "", "a plot"]


def painter(checkpoint: str | Path, **settings) -> StableDiffusion:
    made = StableDiffusion(StableDiffusion.Settings(checkpoint=str(checkpoint), **({"steps": 2} | settings)))
    made.load()
    return made


@pytest.fixture(scope="module")
def inpainter(checkpoint: str) -> StableDiffusion:
    return painter(checkpoint)


def in_batches(inpainter: StableDiffusion, size: int, *inputs: list) -> list[np.ndarray]:
    slices = (slice(start, start + size) for start in range(0, len(inputs[0]), size))
    return list(itertools.chain.from_iterable(inpainter.inpaint(*(one[some] for one in inputs)) for some in slices))


def batch_shapes(model: torch.nn.Module):
    """Patches a network to write down the batch size of each of its forwards."""
    shapes, forward = [], model.forward

    def spy(sample, *args, **kwargs):
        shapes.append(len(sample))
        return forward(sample, *args, **kwargs)

    return shapes, patch.object(model, "forward", spy)


@pytest.mark.parametrize("size", [1, 3, 16])
def test_the_batch_makes_no_difference(inpainter, pictures, size, monkeypatch):
    monkeypatch.setattr(stable_diffusion, "from_float", list)  # every bit: rounding to bytes hides most differences
    originals, masks = pictures(16)
    inputs = originals, masks, PROMPTS * 4, list(range(16))
    shapes, spied = batch_shapes(inpainter._pipeline.unet)
    with spied:
        results = in_batches(inpainter, size, *inputs)
    assert results[0].dtype == np.float32
    assert np.array_equal(results, inpainter.inpaint(*inputs))
    assert np.array_equal(results[::-1], inpainter.inpaint(*(one[::-1] for one in inputs)))
    assert set(shapes) == {2 * 8}, "guided: twice the micro-batch in every forward"


def test_pictures_of_many_sizes_share_a_call(inpainter, pictures):
    originals, masks = (a + b + c for a, b, c in zip(pictures(2), pictures(1, 17, 40), pictures(2), strict=True))
    results = inpainter.inpaint(originals, masks, [""] * 5, [0, 1, 2, 3, 4])
    assert [result.shape for result in results] == [original.shape for original in originals]
    assert np.array_equal(results[2], inpainter.inpaint(originals[2:3], masks[2:3], [""], [2])[0])


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (15, 22), (4, 150)])
def test_any_size_comes_back(inpainter, size):
    picture, mask = np.full((*size, 3), 100, np.uint8), np.ones(size, bool)
    (result,) = inpainter.inpaint([picture], [mask], ["x"], [0])
    assert result.shape == picture.shape and result.dtype == np.uint8


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_diffusers_called_by_hand_paints_the_same(checkpoint, pictures, strength):
    """Witness: the pipeline as its documentation calls it, with PIL pictures, text prompts, one picture at a time."""
    ours = painter(checkpoint, strength=strength, guidance=4, negative_prompt="ugly", micro_batch=1)
    originals, masks = pictures(3)
    for seed, (picture, mask, prompt) in enumerate(zip(originals, masks, PROMPTS, strict=False)):
        (result,) = ours.inpaint([picture], [mask], [prompt], [seed])
        expected = ours._pipeline(
            prompt, Image.fromarray(picture), Image.fromarray(mask), height=16, width=16, strength=strength,
            num_inference_steps=2, guidance_scale=4, negative_prompt="ugly",
            generator=torch.Generator().manual_seed(seed), output_type="np",
        ).images[0]  # fmt: skip
        assert np.array_equal(result, np.rint(expected * 255))


def test_an_item_depends_on_its_seed(inpainter, pictures):
    originals, masks = pictures(1)
    results = inpainter.inpaint(originals * 3, masks * 3, [""] * 3, [7, 2**63 - 1, 7])
    assert np.array_equal(results[0], results[2])
    assert not np.array_equal(results[0], results[1])


@pytest.mark.parametrize("settings", [{}, {"resolution": 12}, {"resolution": 24}, {"guidance": 1}])
def test_what_is_in_the_hole_cannot_matter_at_full_strength(checkpoint, pictures, settings):
    inpainter = painter(checkpoint, **settings)
    (picture, other), (mask, _) = pictures(2, 18, 18)
    other = np.where(mask[..., None], other, picture)
    assert not inpainter.sees_hole
    assert np.array_equal(*inpainter.inpaint([picture, other], [mask, mask], ["", ""], [0, 0]))


def test_what_is_in_the_hole_matters_below_full_strength(checkpoint, pictures):
    inpainter = painter(checkpoint, strength=0.5)
    (picture, other), (mask, _) = pictures(2)
    other = np.where(mask[..., None], other, picture)
    assert inpainter.sees_hole
    assert not np.array_equal(*inpainter.inpaint([picture, other], [mask, mask], ["", ""], [0, 0]))


def test_prompts_matter_only_where_they_are_wanted(checkpoint, inpainter, pictures):
    (picture,), (mask,) = pictures(1)
    inputs = [picture] * 2, [mask] * 2, ["a red circle", "a star"], [0, 0]
    assert inpainter.prompted
    assert not np.array_equal(*inpainter.inpaint(*inputs))
    unprompted = painter(checkpoint, prompted=False)
    assert not unprompted.prompted
    results = unprompted.inpaint(*inputs)
    assert np.array_equal(*results)
    assert np.array_equal(results[0], painter(checkpoint, guidance=1).inpaint([picture], [mask], [""], [0])[0])


def test_without_a_prompt_guidance_is_neither_computed_nor_part_of_the_key(checkpoint, pictures):
    unprompted = painter(checkpoint, prompted=False)
    shapes, spied = batch_shapes(unprompted._pipeline.unet)
    with spied:
        unprompted.inpaint(*pictures(1), [""], [0])
    assert set(shapes) == {8}
    other = StableDiffusion(StableDiffusion.Settings(checkpoint=checkpoint, steps=2, prompted=False, guidance=2))
    assert unprompted.identity() == other.identity()


def test_each_distinct_prompt_is_encoded_once(inpainter, pictures):
    shapes, spied = batch_shapes(inpainter._pipeline.text_encoder)
    with spied:
        inpainter.inpaint(*pictures(12), ["one", "two", "one"] * 4, [0] * 12)
    assert shapes == [1, 1]


def test_a_long_prompt_is_cut_in_silence(inpainter, pictures, caplog, capfd):
    (picture,), (mask,) = pictures(1)
    results = inpainter.inpaint([picture] * 2, [mask] * 2, ["x " * 500, "x " * 14], [0, 0])
    assert np.array_equal(*results), "16 tokens: 14 words between start and end"
    assert not caplog.records and capfd.readouterr() == ("", "")


def test_loading_prints_nothing(checkpoint, capfd, caplog):
    painter(checkpoint)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_a_resolution_that_is_the_pictures_own_changes_nothing(checkpoint, inpainter, pictures):
    originals, masks = pictures(2)
    fixed = painter(checkpoint, resolution=16)
    inputs = originals, masks, ["", "x"], [0, 1]
    assert np.array_equal(fixed.inpaint(*inputs), inpainter.inpaint(*inputs))


def test_at_a_resolution_all_sizes_share_a_forward(checkpoint, pictures):
    inpainter = painter(checkpoint, resolution=24)
    originals, masks = (a + b for a, b in zip(pictures(1, 20, 30), pictures(1, 64, 10), strict=True))
    shapes, spied = batch_shapes(inpainter._pipeline.unet)
    with spied:
        results = inpainter.inpaint(originals, masks, [""] * 2, [0, 0])
    assert [result.shape for result in results] == [(20, 30, 3), (64, 10, 3)]
    assert set(shapes) == {16}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_lower_precision_is_another_item_of_nearly_the_same_pixels(checkpoint, inpainter, pictures, dtype):
    low = painter(checkpoint, dtype=dtype)
    inputs = *pictures(1), ["x"], [0]
    assert low.inpaint(*inputs)[0].shape == (16, 16, 3)
    assert low.identity()["dtype"] == dtype != inpainter.identity()["dtype"]


def test_identity_needs_no_loading_and_names_what_matters(checkpoint):
    plain = StableDiffusion(StableDiffusion.Settings(checkpoint=checkpoint)).identity()
    assert plain["checkpoint"].startswith("sha256:") and checkpoint not in str(plain)
    for change in ({"steps": 20}, {"guidance": 3}, {"strength": 0.5}, {"prompted": False}, {"negative_prompt": "x"},
                   {"dtype": "float16"}, {"resolution": 64}, {"micro_batch": 4}):  # fmt: skip
        assert StableDiffusion(StableDiffusion.Settings(checkpoint=checkpoint, **change)).identity() != plain


def test_a_model_that_is_not_for_inpainting_is_refused(make_checkpoint):
    with pytest.raises(ValueError, match="4 input channels.*take the model's inpainting version"):
        painter(make_checkpoint(4))


def test_a_resolution_that_the_autoencoder_cannot_divide_is_refused(checkpoint):
    with pytest.raises(ValueError, match="resolution 30 is not a multiple of 4.*take 32"):
        painter(checkpoint, resolution=30)


def test_a_checkpoint_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        painter(tmp_path / "nowhere")


def test_a_strength_that_leaves_no_step_is_refused():
    with pytest.raises(ValueError, match="strength 0.1 of 5 steps leaves none"):
        StableDiffusion.Settings(checkpoint="x", steps=5, strength=0.1)


def test_the_pocket_checkpoint_repaints_scenes_whatever_the_batch():
    from models.pocket.worlds.scenes import scene

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
