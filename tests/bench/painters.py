"""The text-to-image architectures that are trained, part by part, so that none is built before it is needed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.bench.architectures import (
    CLIP_G,
    CLIP_H,
    CLIP_L,
    SD2,
    Shape,
    autoencoder,
    autoencoder_16,
    clip_text,
    clip_tokenizer,
    t5_encoder,
    t5_tokenizer,
    transformer_3,
)

Parts = dict[str, Callable[[], Any]]
TOY_UNET = {"sample_size": 16, "block_out_channels": (16, 32), "layers_per_block": 1, "norm_num_groups": 8,
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D")}  # fmt: skip


def scheduler(**how: Any) -> Any:
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, clip_sample=False, **how
    )


def flow(**how: Any) -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(**how)


def clip(kind: str, shape: Shape, tiny: bool) -> Any:
    import transformers

    return getattr(transformers, kind)(clip_text(shape, tiny))


def unet(shape: Shape, toy: Shape, tiny: bool) -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(**shape | (TOY_UNET | toy if tiny else {}))


def stable_diffusion(tiny: bool) -> Parts:
    """SD 2.1, which predicts v."""
    return {
        "vae": partial(autoencoder, tiny, sample_size=768),
        "unet": partial(unet, SD2 | {"in_channels": 4, "sample_size": 96},
                        {"attention_head_dim": (2, 4), "cross_attention_dim": 16}, tiny),
        "scheduler": partial(scheduler, prediction_type="v_prediction"),
        "text_encoder": partial(clip, "CLIPTextModel", CLIP_H, tiny),
        "tokenizer": partial(clip_tokenizer, 77),
    }  # fmt: skip


def stable_diffusion_xl(tiny: bool) -> Parts:
    shape = {"sample_size": 128, "block_out_channels": (320, 640, 1280), "layers_per_block": 2,
             "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
             "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
             "transformer_layers_per_block": (1, 2, 10), "attention_head_dim": (5, 10, 20),
             "cross_attention_dim": 2048, "use_linear_projection": True, "addition_embed_type": "text_time",
             "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816}  # fmt: skip
    toy = {"transformer_layers_per_block": 1, "attention_head_dim": (2, 4), "cross_attention_dim": 32,
           "addition_time_embed_dim": 4, "projection_class_embeddings_input_dim": 6 * 4 + 12}  # fmt: skip
    return {
        "vae": partial(autoencoder, tiny, sample_size=1024, scaling_factor=0.13025),
        "unet": partial(unet, shape, toy, tiny),
        "scheduler": scheduler,
        "text_encoder": partial(clip, "CLIPTextModel", CLIP_L, tiny),
        "text_encoder_2": partial(clip, "CLIPTextModelWithProjection", CLIP_G, tiny),
        "tokenizer": partial(clip_tokenizer, 77),
        "tokenizer_2": partial(clip_tokenizer, 77),
    }


def stable_diffusion_3(tiny: bool) -> Parts:
    """SD 3 medium."""
    return {
        "vae": partial(autoencoder_16, tiny),
        "transformer": partial(transformer_3, tiny),
        "scheduler": partial(flow, shift=3.0),
        "text_encoder": partial(clip, "CLIPTextModelWithProjection", CLIP_L, tiny),
        "text_encoder_2": partial(clip, "CLIPTextModelWithProjection", CLIP_G, tiny),
        "text_encoder_3": partial(t5_encoder, tiny),
        "tokenizer": partial(clip_tokenizer, 77),
        "tokenizer_2": partial(clip_tokenizer, 77),
        "tokenizer_3": t5_tokenizer,
    }


def flux(tiny: bool) -> Parts:
    """FLUX.1-dev."""

    def transformer() -> Any:
        from diffusers import FluxTransformer2DModel

        toy = {"num_layers": 1, "num_single_layers": 1, "attention_head_dim": 16, "num_attention_heads": 2,
               "joint_attention_dim": 40, "pooled_projection_dim": 16, "axes_dims_rope": (4, 4, 8)}  # fmt: skip
        return FluxTransformer2DModel(guidance_embeds=True, **(toy if tiny else {}))

    return {
        "vae": partial(autoencoder_16, tiny),
        "transformer": transformer,
        "scheduler": partial(flow, shift=3.0, use_dynamic_shifting=True),
        "text_encoder": partial(clip, "CLIPTextModel", CLIP_L, tiny),
        "text_encoder_2": partial(t5_encoder, tiny),
        "tokenizer": partial(clip_tokenizer, 77),
        "tokenizer_2": t5_tokenizer,
    }


def pixart_alpha(tiny: bool) -> Parts:
    """PixArt-XL-2-512x512, whose transformer's shapes are diffusers' defaults."""

    def transformer() -> Any:
        from diffusers import PixArtTransformer2DModel

        shape = {"sample_size": 64, "caption_channels": 4096}
        toy = {"sample_size": 16, "num_layers": 1, "attention_head_dim": 8, "num_attention_heads": 4,
               "cross_attention_dim": 32, "caption_channels": 40}  # fmt: skip
        return PixArtTransformer2DModel(use_additional_conditions=False, **shape | (toy if tiny else {}))

    return {
        "vae": partial(autoencoder, tiny, sample_size=512),
        "transformer": transformer,
        "scheduler": scheduler,
        "text_encoder": partial(t5_encoder, tiny),
        "tokenizer": t5_tokenizer,
    }


PAINTERS: dict[str, Callable[[bool], Parts]] = {
    "stable-diffusion": stable_diffusion,
    "stable-diffusion-xl": stable_diffusion_xl,
    "stable-diffusion-3": stable_diffusion_3,
    "flux": flux,
    "pixart-alpha": pixart_alpha,
}
"""By adapter; ``True`` makes toys."""
