"""Text-to-image checkpoints of random weights: the real architectures, tiny, in diffusers' layout."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from tests.models.inpainters.conftest import LETTERS, one_thread, random_pipeline, random_pipeline_3, tokenizer_and_text

__all__ = ["one_thread"]


def stable_diffusion() -> Any:
    from diffusers import StableDiffusionPipeline

    parts = dict(random_pipeline(4).components)
    parts.pop("image_encoder", None)
    return StableDiffusionPipeline(**parts, requires_safety_checker=False)


def stable_diffusion_3(**options: Any) -> Any:
    from diffusers import StableDiffusion3Pipeline

    return StableDiffusion3Pipeline(**random_pipeline_3(16, **options).components)


def stable_diffusion_xl() -> Any:
    import torch
    from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    parts = random_pipeline(4).components
    tokenizer, text = tokenizer_and_text(projection_dim=12)
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=4, in_channels=4, out_channels=4, block_out_channels=(16, 32), layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32, attention_head_dim=(2, 4), norm_num_groups=8, addition_embed_type="text_time",
        addition_time_embed_dim=4, projection_class_embeddings_input_dim=6 * 4 + 12,
    )  # fmt: skip
    return StableDiffusionXLPipeline(
        vae=parts["vae"], unet=unet, scheduler=parts["scheduler"], tokenizer=tokenizer, tokenizer_2=tokenizer,
        text_encoder=CLIPTextModel(text), text_encoder_2=CLIPTextModelWithProjection(text),
    )  # fmt: skip


def t5() -> tuple[Any, Any]:
    from transformers import T5Config, T5EncoderModel, T5TokenizerFast

    letters = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0), *((one, -3.0) for one in LETTERS)]
    config = T5Config(vocab_size=len(letters), d_model=40, d_kv=10, d_ff=40, num_layers=1, num_heads=4)
    return T5TokenizerFast(letters, extra_ids=0), T5EncoderModel(config)


def flux() -> Any:
    import torch
    from diffusers import FluxPipeline, FluxTransformer2DModel
    from transformers import CLIPTextModel

    parts = random_pipeline_3(16).components
    tokenizer, text = tokenizer_and_text()
    torch.manual_seed(0)
    tokenizer_2, encoder_2 = t5()
    transformer = FluxTransformer2DModel(
        in_channels=64, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=40, pooled_projection_dim=16, axes_dims_rope=(4, 4, 8), guidance_embeds=True,
    )  # fmt: skip
    return FluxPipeline(
        vae=parts["vae"], scheduler=parts["scheduler"], transformer=transformer, text_encoder=CLIPTextModel(text),
        tokenizer=tokenizer, text_encoder_2=encoder_2, tokenizer_2=tokenizer_2,
    )  # fmt: skip


def pixart() -> Any:
    import torch
    from diffusers import PixArtAlphaPipeline, PixArtTransformer2DModel

    parts = random_pipeline(4).components
    torch.manual_seed(0)
    tokenizer, encoder = t5()
    transformer = PixArtTransformer2DModel(
        sample_size=4, patch_size=2, in_channels=4, out_channels=8, num_layers=1, attention_head_dim=8,
        num_attention_heads=4, cross_attention_dim=32, caption_channels=40, use_additional_conditions=False,
        norm_num_groups=4,
    )  # fmt: skip
    return PixArtAlphaPipeline(
        vae=parts["vae"], scheduler=parts["scheduler"], transformer=transformer, text_encoder=encoder,
        tokenizer=tokenizer,
    )  # fmt: skip


MAKERS: dict[str, Callable[..., Any]] = {
    "stable-diffusion": stable_diffusion,
    "stable-diffusion-xl": stable_diffusion_xl,
    "stable-diffusion-3": stable_diffusion_3,
    "flux": flux,
    "pixart-alpha": pixart,
}


@pytest.fixture(scope="session")
def make_painted(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Makes a checkpoint of an adapter."""

    @functools.cache
    def make(adapter: str, **options: Any) -> str:
        folder = tmp_path_factory.mktemp(adapter)
        MAKERS[adapter](**options).save_pretrained(folder)
        return str(folder)

    return make
