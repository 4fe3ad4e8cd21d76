"""Recipes of the pocket inpainters in the layouts of SD 1.5 and SD 2: U-Net and text encoder together."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_inpaint import StableDiffusionInpaintPipeline
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor, nn
from transformers import CLIPTextModel

from models.training.painting import SIDE, Naming, Painting, overheard

WEIGHTS = "diffusion_pytorch_model.safetensors"


class Painter(nn.Module):
    """The two parts that learn, and the head that teaches them."""

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder
        self.naming = Naming(unet.config["block_out_channels"][-1])


class Sd2(Painting[Painter]):
    """SD 2: v-prediction, linear projections around attention, heads of one width; here with zero terminal SNR."""

    name = "sd2"
    folder = "sd2-inpaint"
    vae_folder = "sd2-inpaint/vae"
    factor = 4
    steps = 6000
    rate = 1.5e-3
    channels: ClassVar = (64, 96)
    text: ClassVar = {"width": 128, "layers": 2}
    layout: ClassVar[dict[str, Any]] = {"use_linear_projection": True, "attention_head_dim": (2, 3)}
    prediction: ClassVar[dict[str, Any]] = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
    card: ClassVar = {"library_name": "diffusers", "pipeline_tag": "image-to-image", "tags": ["inpainting"]}
    about = """
A small Stable Diffusion inpainting pipeline in the layout of SD 2 (U-Net of 9 input channels, 64 and 96 channels,
cross-attention at 8 x 8, v-prediction; CLIP text encoder of width 128; autoencoder with 16 x 16 x 4 latents) for 64 x
64 pictures of the generated worlds and, where plots were learnt from, line plots of time series. It knows no other
pictures and no other words. With a prompt that describes the picture it repaints what is missing; with an empty
prompt it paints plausible, often wrong things. While it learnt, a linear head named in its middle what the hole had
held; the head is not shipped. The figures are of 20 DDIM steps with guidance 3 and a central hole of 32 x 32 pixels.

![Original, hole, with the prompt, without it](repainted.png)
"""

    @cached_property
    def scheduler(self) -> Any:  # diffusers asks for an IntTensor of times, and takes any
        return DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="trailing",
            clip_sample=False, set_alpha_to_one=True, steps_offset=1, **self.prediction,
        )  # fmt: skip

    def build(self) -> Painter:
        unet = UNet2DConditionModel(
            sample_size=SIDE // self.factor,
            in_channels=9,
            out_channels=4,
            block_out_channels=self.channels,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            layers_per_block=1,
            cross_attention_dim=self.text["width"],
            norm_num_groups=16,
            **self.layout,
        )
        return Painter(unet, CLIPTextModel(self.text_config(**self.text)))

    def loss(self, model: Painter, rng: np.random.Generator, progress: float) -> tuple[Tensor, dict[str, float]]:
        batch = self.draw(rng)
        noise = torch.randn_like(batch.clean)
        times = (self.moments(len(batch.ids)) * 1000).long().clamp(max=999)
        noisy = self.scheduler.add_noise(batch.clean, noise, times)
        wanted = noise
        if self.scheduler.config.prediction_type == "v_prediction":
            wanted = self.scheduler.get_velocity(batch.clean, noise, times)
        inputs = torch.cat([noisy, batch.mask, batch.masked], 1).to(memory_format=torch.channels_last)
        states = model.text_encoder(batch.ids).last_hidden_state
        with overheard(model.unet.mid_block) as middle:
            drawn = model.unet(inputs, times, encoder_hidden_states=states).sample.float()
        return self.score(batch, (drawn - wanted) ** 2, model.naming(middle[0].flatten(2).transpose(1, 2)))

    def pipeline(self, model: Painter) -> StableDiffusionInpaintPipeline:
        parts: dict[str, Any] = {  # diffusers' annotations know of no part that is left out
            "vae": self.vae, "text_encoder": model.text_encoder, "tokenizer": self.tokenizer, "unet": model.unet,
            "scheduler": self.scheduler, "safety_checker": None, "feature_extractor": None,
        }  # fmt: skip
        pipeline = StableDiffusionInpaintPipeline(**parts, requires_safety_checker=False)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline


class Sd15(Sd2):
    """SD 1.5: noise prediction, convolutions around attention; half as wide, and trained for less than half as long."""

    name = "sd15"
    folder = "sd15-inpaint"
    vae_folder = "sd2-inpaint/vae"
    steps = 2400
    channels: ClassVar = (32, 64)
    text: ClassVar = {"width": 64, "layers": 2}
    layout: ClassVar = {"attention_head_dim": 4}
    prediction: ClassVar = {"prediction_type": "epsilon"}
    about = """
The weakest of the pocket inpainters, in the layout of SD 1.5 (U-Net of 9 input channels, 32 and 64 channels,
cross-attention at 8 x 8, noise prediction; CLIP text encoder of width 64; the autoencoder of the pocket SD 2) for 64 x
64 pictures of the generated worlds and, where plots were learnt from, line plots of time series. The figures are of 20
DDIM steps with guidance 3 and a central hole of 32 x 32 pixels.

![Original, hole, with the prompt, without it](repainted.png)
"""

    def save(self, model: Painter, folder: Path) -> None:
        """Save the pipeline with a link to SD 2's autoencoder weights, of which one copy is enough."""
        super().save(model, folder)
        shared = self.weights / self.vae_folder / WEIGHTS
        link = folder / "vae" / WEIGHTS
        link.unlink()
        link.symlink_to(os.path.relpath(shared, link.parent))
