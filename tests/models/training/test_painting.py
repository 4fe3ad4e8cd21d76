"""What the pocket inpainters learn from: holes, prompts, latents, and the names of what is missing."""

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from torch import nn

from models.degradations import Segment, region_mask
from models.inpainters.prompts import prompt
from models.media.images import to_float
from models.training import data
from models.training.data import dense_labels
from models.training.painting import CENTRE, SHARES, holes, masks, prompts
from models.training.sd3 import Sd3
from models.training.unet import Sd2, Sd15
from models.worlds import WORLDS, example

COUNT = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Weights of two untrained autoencoders, and a build folder."""
    root = tmp_path_factory.mktemp("painting")
    torch.manual_seed(0)
    for recipe in (Sd2, Sd3):
        vae = AutoencoderKL(
            down_block_types=["DownEncoderBlock2D"] * (recipe.factor.bit_length()),
            up_block_types=["UpDecoderBlock2D"] * (recipe.factor.bit_length()),
            block_out_channels=(8,) * recipe.factor.bit_length(),
            latent_channels=4 if recipe is Sd2 else 16,
            norm_num_groups=4,
            scaling_factor=0.7,
            shift_factor=0.0,
        )
        vae.save_pretrained(root / "weights" / recipe.vae_folder)
    return root


def recipe(kind, folder):
    class Small(kind):
        counts = dict.fromkeys(WORLDS, COUNT)

    return Small(folder / "build", folder / "weights", [])


@pytest.mark.parametrize("world", WORLDS)
def test_holes_lie_in_the_picture_and_the_first_is_that_of_the_studies(world):
    for index in range(20):
        graph = example(world, 3, index).graph
        found = holes([0, index], graph)
        assert all(x >= 0 and y >= 0 and w > 0 and h > 0 and x + w <= 64 and y + h <= 64 for x, y, w, h in found)
        if world == "referring":
            assert list(found[0]) == graph["objects"][graph["target"]]["box"]
        elif world == "series":
            assert all(h == 64 for _, _, _, h in found)
        else:
            assert found[0] == CENTRE


def test_series_holes_are_as_wide_as_the_bands_that_studies_degrade():
    graphs = [example("series", 3, index).graph for index in range(20)]
    bands = [region_mask((64, 64), graph, Segment(), 0).any(0).sum() for graph in graphs]
    widths = [w for k, graph in enumerate(graphs) for _, _, w, _ in holes([1, k], graph)]
    assert min(widths) <= np.mean(bands) <= max(widths)


@pytest.mark.parametrize("world", WORLDS)
def test_the_prompt_of_a_study_is_among_those_learnt(world):
    made = example(world, 3, 1)
    assert prompt(made.references, made.graph) in prompts(made.references, made.graph)


@pytest.mark.parametrize("kind", [Sd15, Sd2, Sd3])
def test_a_batch_holds_the_latents_that_the_autoencoder_makes(kind, folder):
    made = recipe(kind, folder)
    made.prepare(nn.Module())
    batch = made.draw(np.random.default_rng(3))
    assert len(batch.clean) == len(batch.ids) == sum(SHARES[world] for world in WORLDS)
    assert set(batch.mask.unique().tolist()) == {0.0, 1.0}
    pictures = {world: data.world(world, data.TRAIN_SEED, COUNT, folder / "build").pictures for world in WORLDS}
    k = sum(SHARES[world] for world in ("scenes", "referring", "series"))  # the first radiograph of the batch
    with torch.no_grad():
        signed = torch.from_numpy(to_float(pictures["radiographs"])) * 2 - 1
        latents = made.vae.encode(signed).latent_dist.mean * 0.7
    nearest = ((latents - batch.clean[k]) ** 2).mean((1, 2, 3)).min()
    assert nearest < 1e-3 * latents.var()  # float16, bfloat16 kernels
    assert ((batch.masked[k] - batch.clean[k]) ** 2).mean() > 10 * nearest


def test_only_patches_in_the_hole_are_to_be_named(folder):
    made = recipe(Sd3, folder)
    made.prepare(nn.Module())
    batch = made.draw(np.random.default_rng(4))
    shapes = SHARES["scenes"] + SHARES["referring"]
    assert batch.names.shape == (shapes, 64, 4)
    inside = batch.mask[:shapes].flatten(1) > 0.5
    named = (batch.names >= 0).all(-1)
    assert named.any(1).float().mean() > 0.9
    assert (named & ~inside).sum() <= 0.35 * named.sum()  # a hole's rim may cover more than half of a patch, or less
    graphs = data.world("scenes", data.TRAIN_SEED, COUNT, folder / "build").annotations
    labels = torch.from_numpy(dense_labels(graphs)[0]).long()
    for names, asked in zip(batch.names[: SHARES["scenes"]], named, strict=False):
        assert any(torch.equal(names[asked], one[asked]) for one in labels)


@pytest.mark.parametrize("kind", [Sd15, Sd2, Sd3])
def test_what_is_drawn_and_named_rightly_costs_nothing(kind, folder):
    made = recipe(kind, folder)
    made.prepare(nn.Module())
    batch = made.draw(np.random.default_rng(5))
    said = torch.zeros(len(batch.ids), 64, 19 + 4)
    starts = [0, 7, 16, 20]
    for k, start in enumerate(starts):
        at = batch.names[..., k].clamp(min=0) + start
        said[: len(batch.names)].scatter_(2, at[..., None], 40.0)
    loss, parts = made.score(batch, torch.zeros_like(batch.clean), said)
    assert loss < 1e-5 and parts["hole"] == 0
    worse, _ = made.score(batch, torch.ones_like(batch.clean), said)
    assert abs(worse - 1) < 1e-5


def test_masks_are_the_rectangles():
    found = masks(np.array([[2, 3, 4, 5], [0, 0, 64, 64]]))
    assert found[0, 0, 3:8, 2:6].all() and found[0].sum() == 20 and found[1].all()
