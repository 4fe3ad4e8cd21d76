"""Recipe of the pocket SD 3 inpainter: a multimodal diffusion transformer and its two text encoders, flow matching."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel
from diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3_inpaint import StableDiffusion3InpaintPipeline
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from torch import Tensor, nn
from transformers import CLIPTextModelWithProjection

from models.training.painting import Naming, Painting, overheard

HEADS, HEAD, LAYERS, CLIP = 4, 32, 6, 96
MIDDLE = 3
"""The block after which the image tokens name what is missing."""


class Painter(nn.Module):
    """The three parts that learn, and the head that teaches them."""

    def __init__(self, transformer: SD3Transformer2DModel, encoders: list[CLIPTextModelWithProjection]) -> None:
        super().__init__()
        self.transformer = transformer
        self.encoders = nn.ModuleList(encoders)
        self.naming = Naming(transformer.inner_dim)


class Sd3(Painting[Painter]):
    """On cached latents of pictures and of masked pictures."""

    name = "sd3"
    folder = "sd3-inpaint"
    vae_folder = "sd3-inpaint/vae"
    factor = 8
    sampling: ClassVar = {"max_sequence_length": 1}
    steps = 7400
    rate = 1.2e-3
    card: ClassVar = {"library_name": "diffusers", "pipeline_tag": "image-to-image", "tags": ["inpainting"]}
    about = """
A small Stable Diffusion 3 inpainting pipeline (multimodal diffusion transformer of 6 joint blocks of width 128 with
33 input channels: latents, mask, latents of the masked picture; two CLIP text encoders of width 96, no T5;
autoencoder with 8 x 8 x 16 latents; flow matching) for 64 x 64 pictures of the generated worlds. It knows no other
pictures and no other words. With a prompt that describes the picture it repaints what is missing; with an empty
prompt it paints plausible, often wrong things. While it learnt, a linear head named in its middle what the hole had
held; the head is not shipped. There is no T5: load with `text_encoder_3=None, tokenizer_3=None`,
and sample with `max_sequence_length=1`, since a token of zeros stands for it. The figures are of 20 steps from noise
alone (strength 1) with guidance 3 and a central hole of 32 x 32 pixels.

![Original, hole, with the prompt, without it](repainted.png)
"""
    scheduler = FlowMatchEulerDiscreteScheduler(shift=1.0)

    def build(self) -> Painter:
        transformer = SD3Transformer2DModel(
            sample_size=8, patch_size=1, in_channels=33, out_channels=16, num_layers=LAYERS, attention_head_dim=HEAD,
            num_attention_heads=HEADS, joint_attention_dim=2 * CLIP, caption_projection_dim=HEADS * HEAD,
            pooled_projection_dim=2 * CLIP, pos_embed_max_size=16, qk_norm="rms_norm",
        )  # fmt: skip
        return Painter(transformer, [CLIPTextModelWithProjection(self.text_config(CLIP, 2)) for _ in range(2)])

    def encode(self, model: Painter, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Token and pooled states as the pipeline forms them: last but one layers side by side, a token of zeros."""
        found = [encoder(ids, output_hidden_states=True) for encoder in model.encoders]
        tokens = torch.cat([one.hidden_states[-2] for one in found], -1)
        return nn.functional.pad(tokens, (0, 0, 0, 1)), torch.cat([one.text_embeds for one in found], -1)

    def loss(self, model: Painter, rng: np.random.Generator, progress: float) -> tuple[Tensor, dict[str, float]]:
        batch = self.draw(rng)
        even = self.moments(len(batch.ids))
        sigma = 2 * even / (1 + even)  # more of the noisy steps, in which the prompt decides
        noise, level = torch.randn_like(batch.clean), sigma[:, None, None, None]
        noisy = (1 - level) * batch.clean + level * noise
        tokens, pooled = self.encode(model, batch.ids)
        with overheard(model.transformer.transformer_blocks[MIDDLE]) as middle:
            flow = model.transformer(
                hidden_states=torch.cat([noisy, batch.mask, batch.masked], 1), timestep=sigma * 1000,
                encoder_hidden_states=tokens, pooled_projections=pooled,
            ).sample.float()  # fmt: skip
        _, patches = middle[0]
        return self.score(batch, (flow - (noise - batch.clean)) ** 2, model.naming(patches))

    def pipeline(self, model: Painter) -> StableDiffusion3InpaintPipeline:
        parts: dict[str, Any] = {  # diffusers' annotations know of no part that is left out
            "transformer": model.transformer, "scheduler": self.scheduler, "vae": self.vae,
            "text_encoder": model.encoders[0], "tokenizer": self.tokenizer,
            "text_encoder_2": model.encoders[1], "tokenizer_2": self.tokenizer,
            "text_encoder_3": None, "tokenizer_3": None,
        }  # fmt: skip
        pipeline = StableDiffusion3InpaintPipeline(**parts)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline
