"""Stable Diffusion's inpainting pipeline, as diffusers runs it (Rombach et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from models import roles
from models.checkpoints import identify
from models.images import from_float, to_float

if TYPE_CHECKING:
    from torch import Tensor


class StableDiffusion:
    """Any checkpoint of ``StableDiffusionInpaintPipeline`` whose U-Net has the 9 input channels of inpainting.

    An item does not depend on its batch. Its noise comes from a CPU generator with its own seed; prompts are encoded
    one by one; and since kernels round otherwise for another batch shape, every forward has the same one:
    ``micro_batch`` pictures, the last filled up by repetition. (Measured on CPU in float32: between shapes a picture
    moves by up to 4e-6 of [0, 1], which turns a few bytes in 100,000; within one shape neither its place nor its
    neighbours move it. Another number of threads moves it as much as another shape.)

    The safety checker, which would replace pictures by black ones, is not loaded: these pictures are measured.
    """

    VERSION: ClassVar[int] = 1

    class Settings(roles.Settings):
        """``checkpoint``: a folder, or a hub id with its commit as ``revision``.

        ``steps`` and ``guidance`` (1 = none) are the sampler's; the scheduler is the checkpoint's. ``strength`` 1
        starts from noise alone; less starts from the degraded picture with noise, and so sees what is in the hole.
        ``prompted: false`` gives every picture the empty prompt, so that no reference leaks into it.
        ``resolution``: work at so many pixels squared and scale back, as checkpoints expect that were trained at one
        size (512 for SD 1.5); None works at a picture's own size, padded to what the autoencoder divides.
        ``micro_batch``: pictures in a forward. Only pictures of one size share one: for a corpus of many sizes, set a
        resolution, or 1. More is faster on a GPU, and costs memory.
        """

        checkpoint: str
        revision: str | None = None
        steps: int = Field(50, ge=1, le=1000)
        guidance: float = Field(7.5, ge=1)
        strength: float = Field(1.0, gt=0, le=1)
        prompted: bool = True
        negative_prompt: str = ""
        dtype: Literal["float32", "float16", "bfloat16"] = "float32"
        resolution: int | None = Field(None, ge=8)
        micro_batch: int = Field(8, ge=1)

        @model_validator(mode="after")
        def _leaves_a_step(self) -> StableDiffusion.Settings:
            if int(self.steps * self.strength) < 1:
                raise ValueError(
                    f"strength {self.strength} of {self.steps} steps leaves none: raise `strength` or `steps` until "
                    "their product is at least 1"
                )
            return self

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        # Without a prompt, the guided and the unguided prediction are the same one: there is no need to make both.
        self._guidance = settings.guidance if settings.prompted or settings.negative_prompt else 1.0

    @property
    def sees_hole(self) -> bool:
        """Whether the start is the degraded picture rather than noise alone."""
        return self.settings.strength < 1

    @property
    def prompted(self) -> bool:
        """Whether prompts are used."""
        return self.settings.prompted

    def identity(self) -> dict[str, Any]:
        """Checkpoint and settings; raises as :func:`models.checkpoints.identify` does."""
        settings = self.settings.model_dump(exclude={"checkpoint", "revision"})
        return identify(self.settings.checkpoint, self.settings.revision) | settings | {"guidance": self._guidance}

    def load(self) -> None:
        """Read the pipeline, on a GPU where there is one; a hub id is downloaded unless cached.

        Raises
        ------
        ValueError
            The U-Net is not one for inpainting, or ``resolution`` does not suit the autoencoder.
        """
        import diffusers
        import torch
        import transformers

        identify(self.settings.checkpoint, self.settings.revision)
        diffusers.utils.logging.disable_progress_bar()
        transformers.utils.logging.disable_progress_bar()
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self._pipeline = diffusers.StableDiffusionInpaintPipeline.from_pretrained(
            self.settings.checkpoint,
            revision=self.settings.revision,
            dtype=getattr(torch, self.settings.dtype),
            safety_checker=None,
            requires_safety_checker=False,
        ).to(self.device)
        self._pipeline.set_progress_bar_config(disable=True)
        channels, factor = self._pipeline.unet.config.in_channels, self._pipeline.vae_scale_factor
        if channels != 9:
            raise ValueError(
                f"checkpoint {self.settings.checkpoint!r} has a U-Net of {channels} input channels, not an inpainting "
                "one of 9 (latents, mask, masked picture): take the model's inpainting version"
            )
        if self.settings.resolution and self.settings.resolution % factor:
            nearest = round(self.settings.resolution / factor) * factor
            raise ValueError(
                f"resolution {self.settings.resolution} is not a multiple of {factor}, by which the autoencoder of "
                f"{self.settings.checkpoint!r} shrinks a picture: take {nearest}"
            )
        self._negative = self._encode(self.settings.negative_prompt)

    def inpaint(
        self, pictures: Sequence[np.ndarray], masks: Sequence[np.ndarray], prompts: Sequence[str], seeds: Sequence[int]
    ) -> list[np.ndarray]:
        """Raw repainted pictures, (H, W, 3) uint8; prompts are cut at the tokenizer's length."""
        texts = list(prompts) if self.prompted else [""] * len(pictures)
        encoded = {text: self._encode(text) for text in dict.fromkeys(texts)}
        by_size: dict[tuple[int, ...], list[int]] = {}
        for index, picture in enumerate(pictures):
            by_size.setdefault(picture.shape, []).append(index)
        results: dict[int, np.ndarray] = {}
        for indices in by_size.values():
            for start in range(0, len(indices), self.settings.micro_batch):
                some = indices[start : start + self.settings.micro_batch]
                rows = some + some[-1:] * (self.settings.micro_batch - len(some))
                painted = self._paint(
                    [pictures[i] for i in rows],
                    [masks[i] for i in rows],
                    [encoded[texts[i]] for i in rows],
                    [seeds[i] for i in rows],
                )
                results.update(zip(some, painted, strict=False))
        return [results[index] for index in range(len(pictures))]

    def _encode(self, text: str) -> Tensor:
        """The text encoder's states (1, tokens, width); the pipeline's own encoding warns of every long prompt."""
        import torch

        tokenizer, encoder = self._pipeline.tokenizer, self._pipeline.text_encoder
        length = min(tokenizer.model_max_length, encoder.config.max_position_embeddings)
        tokens = tokenizer(text, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        tokens = tokens.to(self.device)
        attention = tokens.attention_mask if getattr(encoder.config, "use_attention_mask", False) else None
        with torch.no_grad():
            return encoder(tokens.input_ids, attention_mask=attention)[0]

    def _paint(
        self, pictures: list[np.ndarray], masks: list[np.ndarray], states: list[Tensor], seeds: list[int]
    ) -> list[np.ndarray]:
        """One forward of the pipeline on pictures of one size."""
        import torch
        from torch.nn.functional import interpolate, pad

        height, width = masks[0].shape
        canvas = torch.from_numpy(np.concatenate([to_float(pictures), np.stack(masks)[:, None]], axis=1))
        if self.settings.resolution:
            size = (self.settings.resolution,) * 2
            canvas = interpolate(canvas, size=size, mode="bilinear", antialias=True).clamp(0, 1)
        else:
            factor = self._pipeline.vae_scale_factor
            canvas = pad(canvas, (0, -width % factor, 0, -height % factor), mode="replicate")
        picture, mask = canvas[:, :3], canvas[:, 3:]
        painted = self._pipeline(
            prompt_embeds=torch.cat(states),
            negative_prompt_embeds=self._negative.expand(len(states), -1, -1),
            image=picture,
            mask_image=(mask > 0).float(),  # what a pixel of the hole has touched is repainted: nothing shines through
            height=canvas.shape[2],
            width=canvas.shape[3],
            num_inference_steps=self.settings.steps,
            guidance_scale=self._guidance,
            strength=self.settings.strength,
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            output_type="pt",
        ).images.float()
        if self.settings.resolution:
            painted = interpolate(painted, size=(height, width), mode="bicubic", antialias=True)
        return from_float(painted[:, :, :height, :width].cpu().numpy())
