"""The families of text-to-image pipelines that recaptioning is known to paint with (RICO's paper, table 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from models.painters import diffusion

BOTH = (
    "prompt_embeds",
    "negative_prompt_embeds",
    "pooled_prompt_embeds",
    "negative_pooled_prompt_embeds",
)


class StableDiffusion(diffusion.Diffusion):
    """Any checkpoint in the layout of SD 1 or SD 2 (Rombach et al. 2022). Its CLIP reads 77 tokens.

    The safety checker, which would replace pictures by black ones, is not loaded: these pictures are measured.
    """

    VERSION: ClassVar[int] = 1
    PIPELINE = "StableDiffusionPipeline"
    DENOISER = ("unet", "UNet2DConditionModel")
    ENCODED: ClassVar[tuple[str, ...]] = BOTH[:2]

    def _without(self, parts: dict[str, Any]) -> dict[str, Any]:
        return {"safety_checker": None, "requires_safety_checker": False}

    def _unit(self, denoiser: Mapping[str, Any]) -> int:
        return int(self._pipeline.vae_scale_factor)


class StableDiffusionXl(StableDiffusion):
    """Any checkpoint in the layout of SDXL (Podell et al. 2023). Both CLIPs read 77 tokens."""

    PIPELINE = "StableDiffusionXLPipeline"
    ENCODED = BOTH

    def _without(self, parts: dict[str, Any]) -> dict[str, Any]:
        return {"add_watermarker": False}

    def _refusing(self) -> dict[str, Any]:
        return {"negative_prompt": self.settings.negative_prompt or None}


class StableDiffusion3(diffusion.Diffusion):
    """Any checkpoint in the layout of SD 3 and 3.5 (Esser et al. 2024)."""

    VERSION: ClassVar[int] = 1
    PIPELINE = "StableDiffusion3Pipeline"
    DENOISER = ("transformer", "SD3Transformer2DModel")
    ENCODED = BOTH

    class Settings(diffusion.Settings):
        """Settings of every painter, and of this one.

        ``t5: false`` leaves out the largest of the three text encoders; some checkpoints have none anyway. In its place
        stand ``max_sequence_length`` zeros; where it is there, it cuts a text to as many tokens. Both CLIPs cut at
        their tokenizer's length.
        """

        guidance: float = Field(7.0, ge=1)
        t5: bool = True
        max_sequence_length: int = Field(256, ge=1, le=512)

    def _without(self, parts: dict[str, Any]) -> dict[str, Any]:
        there = "T5EncoderModel" in parts.get("text_encoder_3", [])
        return {} if there and self.settings.t5 else {"text_encoder_3": None, "tokenizer_3": None}

    def _places(self) -> dict[str, Any]:
        return {"prompt_2": None, "prompt_3": None, "max_sequence_length": self.settings.max_sequence_length}


class Flux(diffusion.Diffusion):
    """Any checkpoint in the layout of FLUX.1-dev, whose guidance is distilled: there is no negative prompt."""

    VERSION: ClassVar[int] = 1
    PIPELINE = "FluxPipeline"
    DENOISER = ("transformer", "FluxTransformer2DModel")
    ENCODED = ("prompt_embeds", "pooled_prompt_embeds")
    PACKED = 4
    NEGATED: ClassVar[bool] = False

    class Settings(diffusion.Settings):
        """Settings of every painter, and of this one. T5 cuts a text to ``max_sequence_length`` tokens; CLIP, of which
        only the pooled state is used, at 77."""

        guidance: float = Field(3.5, ge=1)
        negative_prompt: str = Field("", max_length=0)
        max_sequence_length: int = Field(512, ge=1, le=512)

    def _places(self) -> dict[str, Any]:
        return {"prompt_2": None, "max_sequence_length": self.settings.max_sequence_length}

    def _unit(self, denoiser: Mapping[str, Any]) -> int:
        return 2 * int(self._pipeline.vae_scale_factor)  # latents are packed by two


class PixArtAlpha(diffusion.Diffusion):
    """Any checkpoint in the layout of PixArt-alpha (Chen et al. 2023)."""

    VERSION: ClassVar[int] = 1
    PIPELINE = "PixArtAlphaPipeline"
    DENOISER = ("transformer", "PixArtTransformer2DModel")
    ENCODED = (
        "prompt_embeds",
        "prompt_attention_mask",
        "negative_prompt_embeds",
        "negative_prompt_attention_mask",
    )

    class Settings(diffusion.Settings):
        """Settings of every painter, and of this one. T5 cuts a text to ``max_sequence_length`` tokens: the released
        checkpoints were trained with 120."""

        guidance: float = Field(4.5, ge=1)
        max_sequence_length: int = Field(120, ge=1, le=512)

    def _places(self) -> dict[str, Any]:
        return {"max_sequence_length": self.settings.max_sequence_length, "clean_caption": False}

    def _options(self) -> dict[str, Any]:
        return {"negative_prompt": None, "use_resolution_binning": False}
