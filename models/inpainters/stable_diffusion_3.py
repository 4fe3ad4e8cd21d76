"""Stable Diffusion 3's inpainting pipeline, as diffusers runs it (Esser et al. 2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from models.adapters.pipelines import quiet
from models.inpainters import diffusion

if TYPE_CHECKING:
    from torch import Tensor


class StableDiffusion3(diffusion.Diffusion):
    """Any checkpoint in the layout of SD 3, through ``StableDiffusion3InpaintPipeline``.

    SD 3 medium has a transformer of 16 input channels and was not trained for inpainting: its latents are blended. A
    transformer of 33 was trained for it: noisy latents, mask, masked picture. See
    :class:`~models.inpainters.diffusion.Diffusion` for both ways.

    Latents are decoded here, with the autoencoder's shift: the pipeline takes it off when it encodes and then forgets
    it (huggingface/diffusers issue 13611), which tints all it paints.
    """

    VERSION: ClassVar[int] = 1
    PIPELINE: ClassVar[str] = "StableDiffusion3InpaintPipeline"
    DENOISER: ClassVar[tuple[str, str]] = ("transformer", "SD3Transformer2DModel")
    BLOCK: ClassVar[str] = "JointTransformerBlock"
    GIVEN: ClassVar[int] = 33
    BLENDED: ClassVar[int] = 16

    class Settings(diffusion.Settings):
        """Settings of every diffusion inpainter, and of this one.

        ``strength``: the paper reduces it for SD 3, "as higher values were observed to either overwrite large portions
        of the original image or collapse" (appendix D; its number is blank, ours is diffusers' default).
        ``t5: false`` leaves out the largest of the three text encoders, which needs more memory than all the rest; some
        checkpoints have none anyway. In its place stand ``max_sequence_length`` zeros; where it is there, it cuts a
        prompt to as many tokens. Both CLIPs cut at their tokenizer's length.
        """

        guidance: float = Field(7.0, ge=1)
        strength: float = Field(0.6, gt=0, le=1)
        t5: bool = True
        max_sequence_length: int = Field(256, ge=1, le=512)

    settings: Settings

    def _parts(self, stored: dict[str, Any]) -> dict[str, Any]:
        there = "T5EncoderModel" in stored.get("text_encoder_3", [])
        return {} if there and self.settings.t5 else {"text_encoder_3": None, "tokenizer_3": None}

    @property
    def _unit(self) -> int:
        return self._pipeline.vae_scale_factor * self._pipeline.patch_size

    def _encode(self, text: str) -> dict[str, Tensor]:
        """The tokens of both CLIPs and then T5's (1, tokens, width), and what the CLIPs pool (1, width)."""
        import torch

        with torch.no_grad(), quiet():  # they warn of every long prompt, which is cut
            states, _, pooled, _ = self._pipeline.encode_prompt(
                text, None, None, do_classifier_free_guidance=False,
                max_sequence_length=self.settings.max_sequence_length,
            )  # fmt: skip
        return {"prompt_embeds": states, "pooled_prompt_embeds": pooled}

    def _run(self, **inputs: Any) -> Tensor:
        import torch

        latents, vae = self._pipeline(**inputs, output_type="latent").images, self._pipeline.vae
        with torch.no_grad():
            painted = vae.decode(latents / vae.config.scaling_factor + vae.config.shift_factor, return_dict=False)[0]
        return self._pipeline.image_processor.postprocess(painted, output_type="pt")
