"""The real architectures at their true size with random weights, and as toys: shapes are those of the published
``config.json`` files; tokenizers are toys, and the networks keep the vocabularies that the published ones have."""

from __future__ import annotations

import itertools
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.chat import CHAT, LETTERS, chat_tokenizer

PROMPT = "a red disc left of a blue square"
"""What all of them are told; the toy tokenizers know its words."""
WORDS = (*PROMPT.split(), *string.punctuation, *LETTERS)
Shape = dict[str, Any]


@dataclass(frozen=True)
class Architecture:
    """How one is made, and how its adapter is asked."""

    role: str
    adapter: str
    make: Callable[[bool], Any]
    """Something with ``save_pretrained``, or several such things; ``True`` makes a toy."""
    side: int
    """Pixels of a picture's side."""
    settings: Shape = field(default_factory=dict)
    steps: bool = False
    """Whether its adapter takes steps."""


def clip_tokenizer(length: int) -> Any:
    from transformers import CLIPTokenizer

    letters = [chr(code) for code in range(33, 127)]
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer({piece: index for index, piece in enumerate(pieces)}, [], model_max_length=length)


def clip_text(shape: Shape, tiny: bool) -> Any:
    """A CLIP text encoder's configuration; the toy's is of width 16."""
    from transformers import CLIPTextConfig

    toy = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
           "projection_dim": 12, "vocab_size": 200}  # fmt: skip
    ids = {"bos_token_id": 188, "eos_token_id": 189, "pad_token_id": 189}
    return CLIPTextConfig(**{"vocab_size": 49408, "max_position_embeddings": 77} | shape | (toy if tiny else {}) | ids)


CLIP_L = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
          "hidden_act": "quick_gelu", "projection_dim": 768}  # fmt: skip
CLIP_H = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 23, "num_attention_heads": 16,
          "hidden_act": "gelu", "projection_dim": 512}  # fmt: skip
CLIP_G = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20,
          "hidden_act": "gelu", "projection_dim": 1280}  # fmt: skip


def autoencoder(tiny: bool, **options: Any) -> Any:
    from diffusers import AutoencoderKL

    widths, layers = ((8, 8, 16), 1) if tiny else ((128, 256, 512, 512), 2)
    return AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * len(widths), up_block_types=["UpDecoderBlock2D"] * len(widths),
        block_out_channels=widths, layers_per_block=layers, norm_num_groups=4 if tiny else 32, **options,
    )  # fmt: skip


def stable_diffusion(text: Shape, unet: Shape) -> Callable[[bool], Any]:
    """SD 1 and 2; what is not said of the U-Net is diffusers' default, which is SD 1's."""

    def make(tiny: bool) -> Any:
        from diffusers import PNDMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel
        from transformers import CLIPTextModel

        toy = {"block_out_channels": (16, 32), "layers_per_block": 1, "norm_num_groups": 8, "attention_head_dim": 4,
               "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
               "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"), "cross_attention_dim": 16}  # fmt: skip
        config = {"sample_size": 64} | unet | (toy if tiny else {})
        return StableDiffusionInpaintPipeline(
            vae=autoencoder(tiny, sample_size=512), unet=UNet2DConditionModel(**config),
            text_encoder=CLIPTextModel(clip_text(text, tiny)), tokenizer=clip_tokenizer(77),
            scheduler=PNDMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                                    skip_prk_steps=True, steps_offset=1),
            safety_checker=None, feature_extractor=None, requires_safety_checker=False,
        )  # fmt: skip

    return make


def stable_diffusion_3(t5: bool) -> Callable[[bool], Any]:
    """SD 3 medium, with or without the largest of its text encoders."""

    def make(tiny: bool) -> Any:
        from diffusers import FlowMatchEulerDiscreteScheduler, StableDiffusion3InpaintPipeline
        from transformers import CLIPTextModelWithProjection

        return StableDiffusion3InpaintPipeline(
            transformer=transformer_3(tiny),
            scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
            vae=autoencoder_16(tiny),
            text_encoder=CLIPTextModelWithProjection(clip_text(CLIP_L, tiny)), tokenizer=clip_tokenizer(77),
            text_encoder_2=CLIPTextModelWithProjection(clip_text(CLIP_G, tiny)), tokenizer_2=clip_tokenizer(77),
            text_encoder_3=t5_encoder(tiny) if t5 else None, tokenizer_3=t5_tokenizer() if t5 else None,
        )  # fmt: skip

    return make


def transformer_3(tiny: bool) -> Any:
    """The denoiser of SD 3 medium."""
    from diffusers import SD3Transformer2DModel

    transformer = {"sample_size": 128, "patch_size": 2, "in_channels": 16, "out_channels": 16, "num_layers": 24,
                   "num_attention_heads": 24, "attention_head_dim": 64, "joint_attention_dim": 4096,
                   "caption_projection_dim": 1536, "pooled_projection_dim": 2048, "pos_embed_max_size": 192,
                   }  # fmt: skip
    toy = {"sample_size": 16, "num_layers": 2, "num_attention_heads": 4, "attention_head_dim": 8,
           "joint_attention_dim": 40, "caption_projection_dim": 32, "pooled_projection_dim": 24}  # fmt: skip
    return SD3Transformer2DModel(**transformer | (toy if tiny else {}))


def autoencoder_16(tiny: bool) -> Any:
    """The autoencoder of SD 3, and of FLUX.1 but for its scale."""
    return autoencoder(tiny, sample_size=1024, latent_channels=16, scaling_factor=1.5305, shift_factor=0.0609,
                       use_quant_conv=False, use_post_quant_conv=False)  # fmt: skip


def t5_encoder(tiny: bool) -> Any:
    """T5 v1.1 XXL, which reads for SD 3, FLUX.1 and PixArt."""
    from transformers import T5Config, T5EncoderModel

    xxl = {"vocab_size": 32128, "d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64,
           "feed_forward_proj": "gated-gelu"}  # fmt: skip
    toy = {"d_model": 40, "d_kv": 10, "d_ff": 40, "num_layers": 1, "num_heads": 4}
    return T5EncoderModel(T5Config(**xxl | (toy if tiny else {})))


def t5_tokenizer() -> Any:
    from transformers import T5TokenizerFast

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((one, -3.0) for one in "\u2581" + string.printable)]
    return T5TokenizerFast(pieces, extra_ids=0)


def blip(tiny: bool) -> tuple[Any, ...]:
    """BLIP with the large vision transformer."""
    from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration, BlipImageProcessor, BlipProcessor

    toy = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
              "image_size": 384, "patch_size": 16, "initializer_range": 0.02}  # fmt: skip
    text = {"num_attention_heads": 12, "encoder_hidden_size": 1024, "bos_token_id": 5, "eos_token_id": 3,
            "sep_token_id": 3, "pad_token_id": 0}  # fmt: skip
    if tiny:
        vision, text = vision | toy | {"image_size": 32}, text | toy | {"encoder_hidden_size": 16}
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", *string.ascii_lowercase]
    tokenizer = BertTokenizer({piece: index for index, piece in enumerate(pieces)}, bos_token="[DEC]")
    size = {"height": vision["image_size"], "width": vision["image_size"]}
    model = BlipForConditionalGeneration(BlipConfig(text_config=text, vision_config=vision))
    return model, BlipProcessor(BlipImageProcessor(size=size), tokenizer)


QWEN2 = {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
         "num_key_value_heads": 4, "max_position_embeddings": 32768, "bos_token_id": None, "pad_token_id": 0,
         "eos_token_id": 2}  # fmt: skip
"""Qwen2-7B, the decoder of both; token ids are the toy tokenizer's."""
TOY_QWEN2 = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
             "num_key_value_heads": 2, "vocab_size": 128}  # fmt: skip


def llava_onevision(tiny: bool) -> tuple[Any, ...]:
    """LLaVA-OneVision-7B: SigLIP without its last layer, and up to 36 tiles; a square picture of 512 takes four."""
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionImageProcessor,
        LlavaOnevisionProcessor,
        LlavaOnevisionVideoProcessor,
    )

    vision = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 26, "num_attention_heads": 16,
              "image_size": 384, "patch_size": 14}  # fmt: skip
    text = QWEN2 | {"vocab_size": 152064}
    if tiny:
        toy = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
        vision, text = vision | toy | {"image_size": 32, "patch_size": 8}, text | TOY_QWEN2
    side = vision["image_size"]
    size = {"height": side, "width": side}
    grids = [[rows * side, columns * side] for rows, columns in itertools.product(range(1, 7), repeat=2)]
    config = LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", **text},
        vision_config={"model_type": "siglip_vision_model", "vision_use_head": False, **vision},
        image_token_index=3, video_token_index=4, image_grid_pinpoints=grids,
    )  # fmt: skip
    processor = LlavaOnevisionProcessor(
        LlavaOnevisionImageProcessor(size=size, image_grid_pinpoints=grids),
        chat_tokenizer(["<image>", "<video>"], WORDS),
        LlavaOnevisionVideoProcessor(size=size),
        num_image_tokens=(side // vision["patch_size"]) ** 2,
        vision_feature_select_strategy="full",
        chat_template=CHAT.replace("IMAGE", "'<image>'"),
    )
    return LlavaOnevisionForConditionalGeneration(config), processor


def qwen2_5_vl(tiny: bool) -> tuple[Any, ...]:
    """Qwen2.5-VL-7B; a square picture of 512 is 18 x 18 tokens."""
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    vision = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584,
              "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 112,
              "fullatt_block_indexes": [7, 15, 23, 31]}  # fmt: skip
    text, section = QWEN2 | {"vocab_size": 152064, "max_position_embeddings": 128000}, [16, 24, 24]
    if tiny:
        toy = {"depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 32,
               "patch_size": 4, "window_size": 16, "fullatt_block_indexes": [1]}  # fmt: skip
        vision, text, section = vision | toy, text | TOY_QWEN2, [2, 3, 3]
    rope = {"rope_type": "default", "rope_theta": 1_000_000.0, "mrope_section": section}
    config = Qwen2_5_VLConfig(
        text_config=text | {"rope_parameters": rope}, vision_config=vision,
        vision_start_token_id=3, vision_end_token_id=4, image_token_id=5, video_token_id=6,
    )  # fmt: skip
    unit = vision["patch_size"] * 2
    sizes = {"patch_size": vision["patch_size"], "min_pixels": 4 * unit**2, "max_pixels": 16384 * unit**2}
    processor = Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor(**sizes),
        chat_tokenizer(["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"], WORDS),
        Qwen2VLVideoProcessor(**sizes),
        chat_template=CHAT.replace("IMAGE", "'<|vision_start|><|image_pad|><|vision_end|>'"),
    )
    return Qwen2_5_VLForConditionalGeneration(config), processor


def vit(tiny: bool) -> tuple[Any, ...]:
    """ViT-B/16, which is transformers' default."""
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    toy = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
           "image_size": 32, "patch_size": 8}  # fmt: skip
    config = ViTConfig(**toy if tiny else {})
    size = {"height": config.image_size, "width": config.image_size}
    return ViTModel(config, add_pooling_layer=False), ViTImageProcessor(size=size)


SD15 = {"in_channels": 9, "cross_attention_dim": 768}
SD2 = {"in_channels": 9, "cross_attention_dim": 1024, "attention_head_dim": (5, 10, 20, 20),
       "use_linear_projection": True}  # fmt: skip
SQUARE = {"resolution": 512}
ARCHITECTURES = {
    "sd15": Architecture("inpainters", "stable-diffusion", stable_diffusion(CLIP_L, SD15), 512, SQUARE, True),
    "sd2": Architecture("inpainters", "stable-diffusion", stable_diffusion(CLIP_H, SD2), 512, SQUARE, True),
    "riffusion": Architecture(
        "inpainters", "stable-diffusion", stable_diffusion(CLIP_L, SD15 | {"in_channels": 4}), 512, SQUARE, True
    ),
    "sd3": Architecture(
        "inpainters", "stable-diffusion-3", stable_diffusion_3(t5=False), 512, {"resolution": 1024, "t5": False}, True
    ),
    "sd3-t5": Architecture(
        "inpainters", "stable-diffusion-3", stable_diffusion_3(t5=True), 512, {"resolution": 1024}, True
    ),
    "blip": Architecture("captioners", "blip", blip, 512),
    "llava-onevision": Architecture("captioners", "llava-onevision", llava_onevision, 512),
    "qwen2.5-vl": Architecture("captioners", "qwen2.5-vl", qwen2_5_vl, 512),
    "vit": Architecture("encoders", "vit", vit, 512),
}
"""SD 3 works at the 1024 pixels that it was trained for."""


def networks(made: Any) -> list[Any]:
    """The networks among what was made."""
    from torch.nn import Module

    parts = made if isinstance(made, tuple) else made.components.values()
    return [part for part in parts if isinstance(part, Module)]


def parameters(made: Any) -> int:
    """How many numbers its networks have learnt, or would have."""
    return sum(weights.numel() for network in networks(made) for weights in network.parameters())
