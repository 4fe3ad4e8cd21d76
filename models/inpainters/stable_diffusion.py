"""Stable Diffusion's inpainting pipeline, as diffusers runs it (Rombach et al. 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from models.inpainters import diffusion

if TYPE_CHECKING:
    from torch import Tensor


class StableDiffusion(diffusion.Diffusion):
    """Any checkpoint in the layout of SD 1 or SD 2, through ``StableDiffusionInpaintPipeline``.

    U-Nets of 9 input channels are those that were trained for inpainting (SD 1.5 and SD 2 inpainting); those of 4 are
    all the others, whose latents are blended. One of them is Riffusion (Forsgren and Martiros 2022): SD 1.5, fine-tuned
    on mel-spectrograms of 512 x 512 pixels with labels such as "jazz". See
    :class:`~models.inpainters.diffusion.Diffusion` for both ways.

    The safety checker, which would replace pictures by black ones, is not loaded: these pictures are measured.
    """

    VERSION: ClassVar[int] = 1
    PIPELINE: ClassVar[str] = "StableDiffusionInpaintPipeline"
    DENOISER: ClassVar[tuple[str, str]] = ("unet", "UNet2DConditionModel")
    GIVEN: ClassVar[int] = 9
    BLENDED: ClassVar[int] = 4

    Settings: ClassVar = diffusion.Settings

    def _parts(self, stored: dict[str, Any]) -> dict[str, Any]:
        return {"safety_checker": None, "requires_safety_checker": False}

    def _encode(self, text: str) -> dict[str, Tensor]:
        """The text encoder's states (1, tokens, width); the pipeline's own encoding warns of every long prompt."""
        import torch

        tokenizer, encoder = self._pipeline.tokenizer, self._pipeline.text_encoder
        length = min(tokenizer.model_max_length, encoder.config.max_position_embeddings)
        tokens = tokenizer(text, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        tokens = tokens.to(self.device)
        attention = tokens.attention_mask if getattr(encoder.config, "use_attention_mask", False) else None
        with torch.no_grad():
            return {"prompt_embeds": encoder(tokens.input_ids, attention_mask=attention)[0]}
