"""Recipes of the pocket autoencoders: diffusers' ``AutoencoderKL`` in the layouts of SD 1 and 2, and of SD 3."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor

from models.training.data import COUNTS
from models.training.recipe import Recipe, to_signed

KL_WEIGHT = 1e-4
CROPS_UNTIL = 0.75
"""Share of the training on crops of half the side: the encoder is local, and a crop costs a quarter."""
SCENES = 0.5
"""Share of scenes among the crops; the other worlds, and plots, have equal parts of the rest."""


class Vae(Recipe[AutoencoderKL]):
    """Recipe with three levels, eight times fewer numbers than pixels: at SD's four, textures are lost at 64 pixels."""

    name = "vae"
    folder = "sd2-inpaint/vae"
    steps = 1400
    rate = 3e-3
    counts: ClassVar = COUNTS
    layout: ClassVar = {
        "down_block_types": ["DownEncoderBlock2D"] * 3,
        "up_block_types": ["UpDecoderBlock2D"] * 3,
        "block_out_channels": (32, 64, 64),
        "latent_channels": 4,
    }
    card: ClassVar = {"library_name": "diffusers", "pipeline_tag": "image-to-image"}
    about = """
The autoencoder of the pocket inpainting pipeline: diffusers' `AutoencoderKL` with three levels (32, 64, 64 channels),
64 x 64 x 3 to 16 x 16 x 4. It saw pictures with grey rectangles too, because an inpainting U-Net encodes the masked
picture.
"""

    def build(self) -> AutoencoderKL:
        return AutoencoderKL(layers_per_block=1, norm_num_groups=8, sample_size=64, **self.layout)

    def loss(self, model: AutoencoderKL, rng: np.random.Generator, progress: float) -> tuple[Tensor, dict[str, float]]:
        whole = progress >= CROPS_UNTIL
        pictures = to_signed(self._draw(rng, 16 if whole else 64, 64 if whole else 32))
        pictures = pictures.to(self.device, memory_format=torch.channels_last)
        posterior = model.encode(pictures).latent_dist
        error = model.decode(posterior.sample()).sample.float() - pictures
        kl = 0.5 * (posterior.mean.float() ** 2 + posterior.var.float() - 1 - posterior.logvar.float()).mean()
        square = (error**2).mean()
        return square + 0.5 * error.abs().mean() + KL_WEIGHT * kl, {"mse": square.item() / 4, "kl": kl.item()}

    def _draw(self, rng: np.random.Generator, count: int, side: int) -> np.ndarray:
        """Crops, one in four with a grey rectangle."""
        crops = np.empty((count, side, side, 3), np.uint8)
        others = [self.learnt(world) for world in self.counts if world != "scenes"]
        others += [self.plots] * bool(len(self.plots))
        for place in range(count):
            source = self.scenes if rng.random() < SCENES else others[rng.integers(len(others))]
            y, x = rng.integers(0, 64 - side, 2, endpoint=True)
            crops[place] = source.pictures[rng.integers(len(source)), y : y + side, x : x + side]
            if rng.random() < 0.25:
                (top, left), (height, width) = rng.integers(0, side - 8, 2), rng.integers(8, side * 3 // 4, 2)
                crops[place, top : top + height, left : left + width] = 128
        return crops

    def evaluate(self, model: AutoencoderKL) -> dict[str, float]:
        figures: dict[str, float] = {}
        for name in (*self.counts, "plots"):
            examples = self.held_out_plots if name == "plots" else self.unseen(name)
            if len(examples):
                pictures = to_signed(examples.pictures[:128])
                mse = float(((model(pictures).sample - pictures) ** 2).mean()) / 4
                figures |= {f"{name} mse": mse, f"{name} psnr": -10 * float(np.log10(mse))}
        return figures

    def save(self, model: AutoencoderKL, folder: Path) -> None:
        """Save the model with its latents' scale in the config, so that the diffusion sees unit variance."""
        latents = model.encode(to_signed(self.scenes.pictures[:256])).latent_dist.mean
        model.register_to_config(scaling_factor=round(1 / float(latents.std()), 4))
        half = self.build().half()
        half.register_to_config(**{k: v for k, v in model.config.items() if not k.startswith("_")})
        half.load_state_dict(model.state_dict())
        half.save_pretrained(folder)


class Vae16(Vae):
    """SD 3's layout: four levels, sixteen latent channels, no convolutions around the latents."""

    name = "vae16"
    folder = "sd3-inpaint/vae"
    steps = 2200
    layout: ClassVar = {
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
        "block_out_channels": (32, 64, 64, 64),
        "latent_channels": 16,
        "use_quant_conv": False,
        "use_post_quant_conv": False,
        "shift_factor": 0.0,
    }
    about = """
The autoencoder of the pocket SD 3: diffusers' `AutoencoderKL` with four levels (32, 64, 64, 64 channels), 64 x 64 x 3
to 8 x 8 x 16. It saw pictures with grey rectangles too, because an inpainting transformer encodes the masked picture.
"""
