"""Base of diffusers' inpainting pipelines: settings, batches of one shape, and the encoding of holes."""

from __future__ import annotations

import functools
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from models.adapters import batches, roles
from models.adapters.checkpoints import identify
from models.adapters.pipelines import check_side, read_pipeline
from models.media.images import from_float, to_float

if TYPE_CHECKING:
    from torch import Tensor

LEFT_OUT = {"attention": "default", "compile": False, "seed": 0}
"""Settings that enter a key only where they are not these: keys are older than they are."""
KERNELS = {
    "math": "MATH", "efficient": "EFFICIENT_ATTENTION", "flash": "FLASH_ATTENTION", "cudnn": "CUDNN_ATTENTION",
}  # fmt: skip


class Settings(roles.Settings):
    """``checkpoint``: a folder, or a hub id with its commit as ``revision``.

    ``steps`` and ``guidance`` (1 = none) are the sampler's; the scheduler is the checkpoint's. ``strength`` 1 starts
    from noise alone; less starts from the degraded picture with noise, and so sees what is in the hole.
    ``prompted: false`` gives every picture the empty prompt, so that no reference leaks into it. ``dtype``: what is
    computed in.
    ``resolution``: work at so many pixels squared and scale back, as checkpoints expect that were trained at one
    size (512 for SD 1.5); None works at a picture's own size, padded to what the model divides.
    ``micro_batch``: pictures in a forward. Only pictures of one size share one: for a corpus of many sizes, set a
    resolution, or 1. More is faster on a GPU, and costs memory.
    ``attention``: the kernel that the denoiser's attention has to use; by default torch chooses.
    ``compile``: the denoiser is compiled, for the one size that ``resolution`` then has to name.
    ``seed``: another one gives every item other noise; an item's own seed comes from its key, of which this is a part.
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
    attention: Literal["default", "math", "efficient", "flash", "cudnn"] = "default"
    compile: bool = False
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _leaves_a_step(self) -> Self:
        if int(self.steps * self.strength) < 1:
            raise ValueError(
                f"strength {self.strength} of {self.steps} steps leaves none: raise `strength` or `steps` until "
                "their product is at least 1"
            )
        return self

    @model_validator(mode="after")
    def _compiles_for_one_size(self) -> Self:
        if self.compile and self.resolution is None:
            raise ValueError("compile is for pictures of one size: set `resolution` to it")
        return self


class Diffusion(ABC):
    """An inpainter around a pipeline; a subclass says which, and how its text is encoded.

    There are two ways to repaint, and the denoiser's input channels tell which one a checkpoint was made for:

    - *inpainting* checkpoints (``GIVEN`` channels) are given noisy latents, the mask and the latents of the picture
      without its hole, and have learnt to paint what fits;
    - any other checkpoint (``BLENDED`` channels) knows of no hole. After every step, the latents outside it are
      replaced by those of the picture with as much noise as is left. Those were encoded from the whole picture, and an
      autoencoder spreads a hole over its surroundings. So at strength 1 the hole is made grey first, as it is for
      inpainting checkpoints; and a latent is repainted if the hole touches any of its pixels, where diffusers would
      look at the first one only and keep what the hole has spoilt.

    On a CPU an item does not depend on its batch. Its noise comes from a CPU generator with its own seed; prompts are
    encoded one by one; and since kernels round otherwise for another batch shape, every forward has the same one:
    ``micro_batch`` pictures, the last filled up by repetition. (Measured on CPU in float32: between shapes a picture
    moves by up to 4e-6 of [0, 1], which turns a few bytes in 100,000; within one shape neither its place nor its
    neighbours move it. Another number of threads moves it as much as another shape.)

    So do other kernels: over 20 steps, ``compile`` moved pictures by up to 6e-6, ``attention: math`` by 1e-6, and
    ``flash`` by nothing, since torch takes it by default (on CPU; on a GPU that depends on the GPU and the dtype).
    Hence both settings enter the key, unless they are left alone.
    """

    PIPELINE: ClassVar[str]
    """The pipeline's class in diffusers."""
    DENOISER: ClassVar[tuple[str, str]]
    """The part of the pipeline that denoises, and its class."""
    BLOCK: ClassVar[str] = ""
    """The class of which most of the denoiser consists, if there is one: diffusers names none for SD 3, and a U-Net's
    convolutions are in none."""
    GIVEN: ClassVar[int]
    BLENDED: ClassVar[int]

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
        """Checkpoint and settings; raises as :func:`models.adapters.checkpoints.identify` does."""
        settings = self.settings.model_dump(exclude={"checkpoint", "revision"})
        settings = {name: value for name, value in settings.items() if (name, value) not in LEFT_OUT.items()}
        return identify(self.settings.checkpoint, self.settings.revision) | settings | {"guidance": self._guidance}

    def load(self) -> None:
        """Read the pipeline, on a GPU where there is one; a hub id is downloaded unless cached.

        Raises
        ------
        ValueError
            The checkpoint is of another architecture, or ``resolution`` does not suit it.
        """
        self._pipeline, self.device = read_pipeline(self.settings, self.PIPELINE, self.DENOISER, self._parts)
        part, kind = self.DENOISER
        denoiser = getattr(self._pipeline, part)
        channels = denoiser.config.in_channels
        if channels not in (self.GIVEN, self.BLENDED):
            raise ValueError(
                f"checkpoint {self.settings.checkpoint!r} has a {kind} of {channels} input channels, neither of "
                f"{self.GIVEN} (latents, mask, masked picture) nor of {self.BLENDED} (latents): take the model's "
                "inpainting version"
            )
        self._blends = channels == self.BLENDED
        if self.settings.resolution:
            check_side(self.settings.resolution, self._unit, self.settings.checkpoint)
        if self.settings.attention != "default":
            denoiser.forward = self._attending(denoiser.forward)
        if self.settings.compile:
            self._compile(denoiser)
        self._negative = self._encode(self.settings.negative_prompt)

    def inpaint(
        self, pictures: Sequence[np.ndarray], masks: Sequence[np.ndarray], prompts: Sequence[str], seeds: Sequence[int]
    ) -> list[np.ndarray]:
        """Raw repainted pictures, (H, W, 3) uint8; prompts are cut at the tokenizers' lengths."""
        import torch

        texts = list(prompts) if self.prompted else [""] * len(pictures)
        encoded = {text: self._encode(text) for text in dict.fromkeys(texts)}
        canvases = [self._canvas(picture, mask) for picture, mask in zip(pictures, masks, strict=True)]

        def painted(rows: list[int]) -> list[np.ndarray]:
            found = self._paint(
                torch.cat([canvases[i] for i in rows]), [encoded[texts[i]] for i in rows], [seeds[i] for i in rows]
            )
            return [self._cut(one, masks[i].shape) for i, one in zip(rows, found.split(1), strict=True)]

        # What is compiled is compiled for one shape.
        shared = batches.shares(self.device) and not self.settings.compile
        return batches.in_batches([one.shape for one in canvases], self.settings.micro_batch, shared, painted)

    def _compile(self, denoiser: Any) -> None:
        """Compile the denoiser; on a GPU block by block where all blocks are alike, which takes a fraction of the time
        and is as fast."""
        blocks = [part for part in denoiser.modules() if type(part).__name__ == self.BLOCK]
        for part in blocks if blocks and self.device != "cpu" else [denoiser]:
            part.compile(dynamic=False)

    def _canvas(self, picture: np.ndarray, mask: np.ndarray) -> Tensor:
        """A picture and its mask as the model takes them, (1, 4, height, width): scaled, or padded at the far ends."""
        import torch
        from torch.nn.functional import interpolate, pad

        height, width = mask.shape
        canvas = torch.from_numpy(np.concatenate([to_float([picture]), mask[None, None]], axis=1))
        if self.settings.resolution:
            size = (self.settings.resolution,) * 2
            return interpolate(canvas, size=size, mode="bilinear", antialias=True).clamp(0, 1)
        return pad(canvas, (0, -width % self._unit, 0, -height % self._unit), mode="replicate")

    def _cut(self, painted: Tensor, size: tuple[int, int]) -> np.ndarray:
        """A painted canvas (1, 3, H, W) as the picture (height, width, 3) uint8 that it was made from."""
        from torch.nn.functional import interpolate

        if self.settings.resolution:
            painted = interpolate(painted, size=size, mode="bicubic", antialias=True)
        return from_float(painted[:, :, : size[0], : size[1]].cpu().numpy())[0]

    def _paint(self, canvases: Tensor, texts: list[dict[str, Tensor]], seeds: list[int]) -> Tensor:
        """Output of one run of the pipeline for canvases of one size, (N, 3, H, W) float32."""
        import torch

        picture, mask = canvases[:, :3], canvases[:, 3:]
        mask = (mask > 0).float()  # what a pixel of the hole has touched is repainted: nothing shines through
        if self._blends:
            picture, mask = self._cover(picture, mask)
        prompts = {name: torch.cat([text[name] for text in texts]) for name in self._negative}
        negatives = {f"negative_{name}": one.expand_as(prompts[name]) for name, one in self._negative.items()}
        return self._run(
            **prompts,
            **negatives,
            image=picture,
            mask_image=mask,
            height=canvases.shape[2],
            width=canvases.shape[3],
            num_inference_steps=self.settings.steps,
            guidance_scale=self._guidance,
            strength=self.settings.strength,
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
        ).float()

    def _cover(self, picture: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """A picture and its mask for blending: see the class."""
        from torch.nn.functional import interpolate, max_pool2d

        if not self.sees_hole:
            picture = picture.where(mask == 0, 0.5)
        factor = self._pipeline.vae_scale_factor
        return picture, interpolate(max_pool2d(mask, factor), scale_factor=factor)

    def _attending(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a forward so that its attention uses the kernel of the settings.

        In diffusers, these denoisers know no other way: ``set_attention_backend`` passes their attention processors by.
        """
        from torch.nn.attention import SDPBackend, sdpa_kernel

        @functools.wraps(forward)
        def attending(*args: Any, **kwargs: Any) -> Any:
            try:
                with sdpa_kernel(getattr(SDPBackend, KERNELS[self.settings.attention])):
                    return forward(*args, **kwargs)
            except RuntimeError as error:
                if not re.search("No (available kernel|viable backend)", str(error)):
                    raise
                raise ValueError(
                    f"torch has no attention kernel {self.settings.attention!r} for {self.settings.dtype} on this "
                    f"{self.device}: leave `attention` to its default"
                ) from error

        return attending

    def _parts(self, stored: dict[str, Any]) -> dict[str, Any]:
        """Parts of the pipeline that are not read as they are stored, as arguments of ``from_pretrained``."""
        return {}

    @property
    def _unit(self) -> int:
        """Number of pixels of which a canvas's sides are multiples."""
        return self._pipeline.vae_scale_factor

    @abstractmethod
    def _encode(self, text: str) -> dict[str, Tensor]:
        """The pipeline's arguments that stand for a prompt, each of batch size 1, without warnings."""

    def _run(self, **inputs: Any) -> Tensor:
        """Output of the pipeline, (N, 3, H, W) in [0, 1]."""
        return self._pipeline(**inputs, output_type="pt").images
