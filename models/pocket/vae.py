"""Recipe of the pocket autoencoder: diffusers' ``AutoencoderKL``, 64 x 64 x 3 <-> 16 x 16 x 4."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from models.pocket.recipe import Recipe, to_signed

KL_WEIGHT = 1e-4
CROPS_UNTIL = 0.75
"""Share of the training on crops of half the side: the encoder is local, and a crop costs a quarter."""


class Vae(Recipe):
    """Three levels, so eight times fewer numbers than pixels: at SD's four levels textures do not survive 64 pixels."""

    name = "vae"
    folder = "sd-inpaint/vae"
    steps = 1400
    rate = 3e-3
    card: ClassVar = {"library_name": "diffusers", "pipeline_tag": "image-to-image"}
    about = """
The autoencoder of the pocket inpainting pipeline: diffusers' `AutoencoderKL` with three levels (32, 64, 64 channels),
64 x 64 x 3 to 16 x 16 x 4. It saw pictures with grey rectangles too, because an inpainting U-Net encodes the masked
picture.
"""

    def build(self) -> AutoencoderKL:
        return AutoencoderKL(
            down_block_types=["DownEncoderBlock2D"] * 3,
            up_block_types=["UpDecoderBlock2D"] * 3,
            block_out_channels=(32, 64, 64),
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=8,
            sample_size=64,
        )

    def loss(self, model: AutoencoderKL, rng: np.random.Generator, progress: float) -> tuple[Tensor, dict[str, float]]:
        whole = progress >= CROPS_UNTIL
        pictures = to_signed(self._draw(rng, 16 if whole else 64, 64 if whole else 32))
        pictures = pictures.to(memory_format=torch.channels_last)
        posterior = model.encode(pictures).latent_dist
        error = model.decode(posterior.sample()).sample.float() - pictures
        kl = 0.5 * (posterior.mean.float() ** 2 + posterior.var.float() - 1 - posterior.logvar.float()).mean()
        square = (error**2).mean()
        return square + 0.5 * error.abs().mean() + KL_WEIGHT * kl, {"mse": square.item() / 4, "kl": kl.item()}

    def _draw(self, rng: np.random.Generator, count: int, side: int) -> np.ndarray:
        """Crops of scenes, one in eight of them of plots, one in four with a grey rectangle."""
        crops = np.empty((count, side, side, 3), np.uint8)
        for place in range(count):
            source = self.plots if len(self.plots) and rng.random() < 0.125 else self.scenes
            y, x = rng.integers(0, 64 - side, 2, endpoint=True)
            crops[place] = source.pictures[rng.integers(len(source)), y : y + side, x : x + side]
            if rng.random() < 0.25:
                (top, left), (height, width) = rng.integers(0, side - 8, 2), rng.integers(8, side * 3 // 4, 2)
                crops[place, top : top + height, left : left + width] = 128
        return crops

    def evaluate(self, model: AutoencoderKL) -> dict[str, float]:
        figures = {}
        for name, examples in (("scenes", self.held_out), ("plots", self.held_out_plots)):
            if len(examples):
                pictures = to_signed(examples.pictures[:128])
                mse = float(((model(pictures).sample - pictures) ** 2).mean()) / 4
                figures |= {f"{name} mse": mse, f"{name} psnr": -10 * float(np.log10(mse))}
        return figures

    def save(self, model: AutoencoderKL, folder: Path) -> None:
        """Measures the latents' scale, so that the diffusion sees unit variance, and writes it into the config."""
        latents = model.encode(to_signed(self.scenes.pictures[:256])).latent_dist.mean
        model.register_to_config(scaling_factor=round(1 / float(latents.std()), 4))
        half = self.build().half()
        half.register_to_config(**{k: v for k, v in model.config.items() if not k.startswith("_")})
        half.load_state_dict(model.state_dict())
        half.save_pretrained(folder)
