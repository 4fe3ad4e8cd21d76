"""What holds for every diffusion inpainter, of all four layouts."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
import torch
from PIL import Image

from models.inpainters import diffusion

pytestmark = pytest.mark.usefixtures("one_thread")
PROMPTS = ["a red circle", "two blue stars", "", "a plot"]


@pytest.fixture(scope="module")
def inpainter(layout):
    return layout.painter()


@pytest.fixture
def every_bit(monkeypatch):
    """Results as the floats that they were: rounding to bytes hides most differences."""
    monkeypatch.setattr(diffusion, "from_float", list)


@pytest.fixture
def latents(monkeypatch):
    """Writes down what is decoded: ``latents(inpainter)``."""

    def spied(inpainter) -> list[torch.Tensor]:
        seen, vae = [], inpainter._pipeline.vae
        decode = vae.decode
        monkeypatch.setattr(vae, "decode", lambda z, *args, **kwargs: seen.append(z) or decode(z, *args, **kwargs))
        return seen

    return spied


@pytest.mark.parametrize("size", [1, 3, 16])
def test_the_batch_makes_no_difference(layout, inpainter, pictures, in_batches, batch_shapes, size, every_bit):
    originals, masks = pictures(16)
    inputs = originals, masks, PROMPTS * 4, list(range(16))
    shapes, spied = batch_shapes(layout.denoiser(inpainter))
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
def test_diffusers_called_by_hand_paints_the_same(layout, pictures, strength):
    """Witness: the pipeline as its documentation calls it, with PIL pictures, text prompts, one picture at a time.

    Where latents are blended, the hole has to be made grey by hand too.
    """
    ours = layout.painter(strength=strength, negative_prompt="ugly", micro_batch=1)
    originals, masks = pictures(3)
    for seed, (picture, mask, prompt) in enumerate(zip(originals, masks, PROMPTS, strict=False)):
        (result,) = ours.inpaint([picture], [mask], [prompt], [seed])
        image = Image.fromarray(picture)
        if layout.blends and strength == 1:
            image = np.where(mask[..., None], np.float32(0.5), picture / np.float32(255))[None]
        expected = ours._pipeline(
            prompt, image=image, mask_image=Image.fromarray(mask), height=16, width=16, strength=strength,
            num_inference_steps=2, guidance_scale=4, negative_prompt="ugly",
            generator=torch.Generator().manual_seed(seed), output_type="np", **layout.tokens,
        ).images[0]  # fmt: skip
        assert np.array_equal(result, np.rint(expected * 255))


def test_an_item_depends_on_its_seed(inpainter, pictures):
    originals, masks = pictures(1)
    results = inpainter.inpaint(originals * 3, masks * 3, [""] * 3, [7, 2**63 - 1, 7])
    assert np.array_equal(results[0], results[2])
    assert not np.array_equal(results[0], results[1])


@pytest.mark.parametrize("settings", [{}, {"resolution": 16}, {"resolution": 24}, {"guidance": 1}])
def test_what_is_in_the_hole_cannot_matter_at_full_strength(layout, pictures, settings, every_bit):
    inpainter = layout.painter(**settings)
    (picture, other), (mask, _) = pictures(2, 18, 18)
    other = np.where(mask[..., None], other, picture)
    assert not inpainter.sees_hole
    assert np.array_equal(*inpainter.inpaint([picture, other], [mask, mask], ["", ""], [0, 0]))


def test_what_is_in_the_hole_matters_below_full_strength(layout, pictures):
    inpainter = layout.painter(strength=0.5)
    (picture, other), (mask, _) = pictures(2)
    other = np.where(mask[..., None], other, picture)
    assert inpainter.sees_hole
    assert not np.array_equal(*inpainter.inpaint([picture, other], [mask, mask], ["", ""], [0, 0]))


def test_what_is_around_the_hole_matters(inpainter, pictures):
    (picture, other), (mask, _) = pictures(2)
    other = np.where(mask[..., None], picture, other)
    one, two = inpainter.inpaint([picture, other], [mask, mask], ["", ""], [0, 0])
    assert not np.array_equal(one[mask], two[mask])


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_blending_keeps_latents_that_the_hole_does_not_touch(layout, pictures, latents, strength):
    """Factor 4; the hole is of rows 5 and 6 and of columns 7 and 8: it touches the second row and two columns."""
    inpainter = layout.painter(strength=strength, steps=4)
    seen = latents(inpainter)
    (picture,), _ = pictures(1)
    mask = np.zeros((16, 16), bool)
    mask[5:7, 7:9] = True
    inpainter.inpaint([picture] * 2, [mask] * 2, ["a star", "red"], [0, 0])
    changed = (seen[0][0] != seen[0][1]).any(0).numpy()
    touched = np.zeros((4, 4), bool)
    touched[1, 1:3] = True
    assert np.array_equal(changed, touched if layout.blends else np.ones((4, 4), bool))


def test_prompts_matter_only_where_they_are_wanted(layout, inpainter, pictures):
    (picture,), (mask,) = pictures(1)
    inputs = [picture] * 2, [mask] * 2, ["a red circle", "a star"], [0, 0]
    assert inpainter.prompted
    assert not np.array_equal(*inpainter.inpaint(*inputs))
    unprompted = layout.painter(prompted=False)
    assert not unprompted.prompted
    results = unprompted.inpaint(*inputs)
    assert np.array_equal(*results)
    assert np.array_equal(results[0], layout.painter(guidance=1).inpaint([picture], [mask], [""], [0])[0])


def test_without_a_prompt_guidance_is_neither_computed_nor_part_of_the_key(layout, pictures, batch_shapes):
    unprompted = layout.painter(prompted=False)
    shapes, spied = batch_shapes(layout.denoiser(unprompted))
    with spied:
        unprompted.inpaint(*pictures(1), [""], [0])
    assert set(shapes) == {8}
    assert unprompted.identity() == layout.unloaded(prompted=False, guidance=2).identity()


def test_each_distinct_prompt_is_encoded_once(inpainter, pictures, batch_shapes):
    shapes, spied = batch_shapes(inpainter._pipeline.text_encoder)
    with spied:
        inpainter.inpaint(*pictures(12), ["one", "two", "one"] * 4, [0] * 12)
    assert shapes == [1, 1]


def test_a_long_prompt_is_cut_in_silence(inpainter, pictures, caplog, capfd):
    (picture,), (mask,) = pictures(1)
    results = inpainter.inpaint([picture] * 2, [mask] * 2, ["x " * 500, "x " * 14], [0, 0])
    assert np.array_equal(*results), "16 tokens: 14 words between start and end"
    assert not caplog.records and capfd.readouterr() == ("", "")


def test_loading_prints_nothing(layout, capfd, caplog):
    layout.painter()
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_a_resolution_that_is_the_pictures_own_changes_nothing(layout, inpainter, pictures):
    originals, masks = pictures(2)
    inputs = originals, masks, ["", "x"], [0, 1]
    assert np.array_equal(layout.painter(resolution=16).inpaint(*inputs), inpainter.inpaint(*inputs))


def test_at_a_resolution_all_sizes_share_a_forward(layout, pictures, batch_shapes):
    inpainter = layout.painter(resolution=24)
    originals, masks = (a + b for a, b in zip(pictures(1, 20, 30), pictures(1, 64, 10), strict=True))
    shapes, spied = batch_shapes(layout.denoiser(inpainter))
    with spied:
        one = inpainter.inpaint(originals[:1], masks[:1], [""], [0])
        forwards = len(shapes)
        both = inpainter.inpaint(originals, masks, [""] * 2, [0, 0])
    assert [result.shape for result in both] == [(20, 30, 3), (64, 10, 3)]
    assert np.array_equal(both[0], one[0])
    assert len(shapes) == 2 * forwards and len(set(shapes)) == 1, "as many for two sizes as for one"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_lower_precision_is_another_item(layout, inpainter, pictures, dtype):
    low = layout.painter(dtype=dtype)
    inputs = *pictures(1), ["x"], [0]
    assert low.inpaint(*inputs)[0].shape == (16, 16, 3)
    assert low.identity()["dtype"] == dtype != inpainter.identity()["dtype"]


def test_identity_needs_no_loading_and_names_what_matters(layout):
    plain = layout.unloaded().identity()
    assert plain["checkpoint"].startswith("sha256:") and layout.checkpoint not in str(plain)
    for change in ({"steps": 20}, {"guidance": 3}, {"strength": 0.5}, {"prompted": False}, {"negative_prompt": "x"},
                   {"dtype": "float16"}, {"resolution": 64}, {"micro_batch": 4}, {"attention": "math"},
                   {"resolution": 64, "compile": True}):  # fmt: skip
        assert layout.unloaded(**change).identity() != plain
    assert layout.unloaded(resolution=64, compile=True).identity() != layout.unloaded(resolution=64).identity()
    assert {"attention", "compile"}.isdisjoint(plain), "kernels that torch chooses are not named"


def test_the_denoiser_attends_with_the_kernel_that_is_asked_for(layout, inpainter, pictures, every_bit):
    """Witness: torch's own word on which kernels it may use, at the time of each attention."""
    plain, attention = layout.painter(attention="math"), torch.nn.functional.scaled_dot_product_attention
    flash = {"denoiser": [], "elsewhere": []}
    inside = []

    def spy(*args, **kwargs):
        flash["denoiser" if inside else "elsewhere"].append(torch.backends.cuda.flash_sdp_enabled())
        return attention(*args, **kwargs)

    hooks = [
        layout.denoiser(plain).register_forward_pre_hook(lambda *_: inside.append(1)),
        layout.denoiser(plain).register_forward_hook(lambda *_: inside.clear()),
    ]
    inputs = *pictures(1), ["x"], [0]
    with patch.object(torch.nn.functional, "scaled_dot_product_attention", spy):
        (result,) = plain.inpaint(*inputs)
    for hook in hooks:
        hook.remove()
    assert set(flash["denoiser"]) == {False} and set(flash["elsewhere"]) == {True}
    assert np.allclose(result, inpainter.inpaint(*inputs)[0], atol=1e-4)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the GPU has that kernel")
def test_a_kernel_that_is_not_there_is_named(layout, pictures):
    with pytest.raises(ValueError, match="torch has no attention kernel 'cudnn' for float32 on this cpu"):
        layout.painter(attention="cudnn").inpaint(*pictures(1), [""], [0])


def test_a_compiled_denoiser_paints_the_same_and_is_compiled_for_one_size(layout, pictures, every_bit):
    """Without kernels of its own: the graph that torch traces, run as it is."""
    compiled, compiling = [], torch.nn.Module.compile

    def traced(module, **options):
        compiled.append((module, options))
        compiling(module, backend="eager", **options)

    with patch.object(torch.nn.Module, "compile", traced):
        fast = layout.painter(resolution=16, compile=True, steps=1)
    assert compiled == [(layout.denoiser(fast), {"dynamic": False})]
    slow = layout.painter(resolution=16, steps=1)
    inputs = *pictures(1), ["x"], [0]
    assert np.allclose(fast.inpaint(*inputs), slow.inpaint(*inputs), atol=1e-4)


def test_compiling_for_pictures_of_any_size_is_refused(layout):
    with pytest.raises(ValueError, match="compile is for pictures of one size: set `resolution` to it"):
        layout.unloaded(compile=True)


def test_a_resolution_that_the_model_cannot_divide_is_refused(layout):
    unit, nearest = (8, 32) if layout.adapter == "stable-diffusion-3" else (4, 32)
    with pytest.raises(ValueError, match=f"resolution 30 is not a multiple of {unit}.*take {nearest}"):
        layout.painter(resolution=30)


def test_a_checkpoint_that_is_not_there_is_named(layout, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        layout.painter(checkpoint=str(tmp_path / "nowhere"))


def test_a_strength_that_leaves_no_step_is_refused(layout):
    with pytest.raises(ValueError, match=r"strength 0\.1 of 5 steps leaves none"):
        layout.unloaded(steps=5, strength=0.1)


def test_what_is_no_pipeline_is_refused(layout, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"has no model_index\.json that can be read"):
        layout.painter(checkpoint=str(tmp_path))
