"""A ControlNet of random weights beside the tiny Stable Diffusion: the real loading code, pipeline and edges."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from models.adapters.catalogue import build
from models.inpainters.controlnet import edges

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def controlnet(tmp_path_factory, make_checkpoint) -> str:
    """That of the U-Net of 4 channels; a new ControlNet adds nothing, so its weights are drawn."""
    from diffusers import ControlNetModel, UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(make_checkpoint("stable-diffusion", 4), subfolder="unet")
    torch.manual_seed(0)
    network = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(4, 8, 8))
    for weights in network.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    folder = tmp_path_factory.mktemp("controlnet")
    network.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def made(controlnet, make_checkpoint):
    """Makes the adapter, loaded, or Stable Diffusion alone: ``made(adapter, **settings)``."""

    def make(adapter: str = "stable-diffusion-controlnet", load: bool = True, **settings):
        own = {"controlnet": controlnet} if adapter.endswith("controlnet") else {}
        entry = {"adapter": adapter, "checkpoint": make_checkpoint("stable-diffusion", 4), "steps": 2} | own
        model = build("inpainters", "riff", entry | settings)
        if load:
            model.load()
        return model

    return make


def clip(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A spectrogram of bright bands, and a hole of some moments."""
    rng = np.random.default_rng(seed)
    picture = np.repeat(255 * rng.integers(0, 2, (8, 8), dtype=np.uint8), 4, axis=0).repeat(4, axis=1)
    mask = np.zeros((32, 32), bool)
    mask[:, 12:20] = True
    return picture[..., None].repeat(3, axis=2), mask


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_diffusers_called_by_hand_paints_the_same(made, strength):
    """Witness: the pipeline as its documentation calls it, with a picture of edges that OpenCV draws.

    The hole is grey at full strength, as for every blending checkpoint, and its outline is cut out of the edges.
    """
    ours = made(strength=strength, micro_batch=1, guidance=4)
    picture, mask = clip()
    (result,) = ours.inpaint([picture], [mask], ["jazz"], [5])
    outlined = cv2.Canny(picture, 100, 200)
    outlined[:, 11:21] = 0
    assert (edges(picture, mask, 100, 200)[:, 22:] == outlined[:, 22:]).all()
    control = Image.fromarray(edges(picture, mask, 100, 200)).convert("RGB")
    image = np.where(mask[..., None], np.float32(0.5), picture / np.float32(255))[None]
    expected = ours._pipeline(
        "jazz", image=image if strength == 1 else Image.fromarray(picture), mask_image=Image.fromarray(mask),
        control_image=control, height=32, width=32, strength=strength, num_inference_steps=2, guidance_scale=4,
        controlnet_conditioning_scale=1.0, generator=torch.Generator().manual_seed(5), output_type="np",
    ).images[0]  # fmt: skip
    assert np.array_equal(result, np.rint(expected * 255))


def test_without_control_it_is_stable_diffusion_alone(made):
    picture, mask = clip()
    inputs = [picture], [mask], ["jazz"], [0]
    alone, led = made("stable-diffusion").inpaint(*inputs), made().inpaint(*inputs)
    assert np.array_equal(made(control_scale=0).inpaint(*inputs), alone)
    assert not np.array_equal(led, alone)


def test_what_is_in_the_hole_cannot_matter_at_full_strength(made):
    inpainter = made()
    (picture, mask), (other, _) = clip(), clip(1)
    other = np.where(mask[..., None], other, picture)
    assert not inpainter.sees_hole
    assert np.array_equal(*inpainter.inpaint([picture, other], [mask] * 2, ["jazz"] * 2, [0, 0]))


def test_an_item_does_not_depend_on_its_batch(made, in_batches):
    inpainter = made(micro_batch=4)
    clips, masks = zip(*(clip(seed) for seed in range(5)), strict=True)
    inputs = list(clips), list(masks), ["jazz", "rock", "", "pop", "jazz"], list(range(5))
    assert np.array_equal(inpainter.inpaint(*inputs), in_batches(inpainter, 1, *inputs))


def test_edges_are_opencvs_where_nothing_is_hidden_and_none_come_from_a_hole():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (40, 40, 1), np.uint8).repeat(3, axis=2)
    assert np.array_equal(edges(picture, np.zeros((40, 40), bool), 100, 200), cv2.Canny(picture, 100, 200))
    mask = np.zeros((40, 40), bool)
    mask[10:30, 10:30] = True
    flat = np.where(mask[..., None], rng.integers(0, 256, (40, 40, 3)), 128).astype(np.uint8)
    assert not edges(flat, mask, 100, 200).any()


def test_both_checkpoints_and_the_edges_are_in_the_key(made, controlnet):
    plain = made(load=False).identity()
    assert plain["checkpoint"].startswith("sha256:") and plain["controlnet"]["checkpoint"].startswith("sha256:")
    assert controlnet not in str(plain) and plain["edges"] == [100, 200]
    pinned = {"controlnet": "some/where", "controlnet_revision": "0123456"}
    for change in ({"edges": [50, 200]}, {"control_scale": 0.5}, {"seed": 1}, pinned):
        assert made(load=False, **change).identity() != plain


def test_what_is_no_controlnet_is_refused(made, make_checkpoint):
    with pytest.raises(ValueError, match="is a UNet2DConditionModel, not a ControlNetModel of diffusers"):
        made(controlnet=f"{make_checkpoint('stable-diffusion', 4)}/unet")
