"""Painters through diffusers' text-to-image pipelines: settings, batches of one shape, and the encoding of texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from models.adapters import batches, lora
from models.adapters.pipelines import check_side, quiet, read_pipeline
from models.adapters.pretrained import Checkpoint
from models.media.images import from_float

if TYPE_CHECKING:
    from torch import Tensor


class Settings(Checkpoint):
    """``steps`` and ``guidance`` (1 = none) are the sampler's; the scheduler is the checkpoint's.

    ``resolution``: pixels of a picture's side; None is what the checkpoint was trained at. ``dtype``: what is computed
    in. ``micro_batch``: pictures in a forward; more is faster on a GPU, and costs memory. ``seed``: another one gives
    every item other noise; an item's own seed comes from its key, of which this is a part. ``lora``: an adapter of the
    denoiser, as the trainer ``lora`` or diffusers writes one: a file, or the folder that it is in.
    """

    steps: int = Field(50, ge=1, le=1000)
    guidance: float = Field(7.5, ge=1)
    negative_prompt: str = ""
    resolution: int | None = Field(None, ge=8)
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    micro_batch: int = Field(4, ge=1)
    seed: int = Field(0, ge=0)
    lora: str | None = None


class Diffusion:
    """A painter around a pipeline; a subclass says which, and how its text is encoded.

    Each distinct text is encoded once, by itself, and cut at the length of the text encoders. An item's noise comes
    from a CPU generator with its own seed, and on a CPU every forward has the same shape, the last filled up by
    repetition: so no item depends on its batch there, as for :class:`~models.inpainters.diffusion.Diffusion`.
    """

    VERSION: ClassVar[int]
    Settings: ClassVar[type[Settings]] = Settings
    PIPELINE: ClassVar[str]
    """The pipeline's class in diffusers."""
    DENOISER: ClassVar[tuple[str, str]]
    """The part of the pipeline that denoises, and its class."""
    ENCODED: ClassVar[tuple[str, ...]]
    """The pipeline's arguments that its ``encode_prompt`` returns, in that order."""
    NEGATED: ClassVar[bool] = True
    """Whether guidance leads away from a negative prompt, rather than being a number that the model reads."""

    PACKED: ClassVar[int] = 1
    """Latents in a token of the denoiser, side by side as its channels."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        """Checkpoint and settings; raises as :func:`models.adapters.checkpoints.identify` does."""
        adapter = {"lora": lora.digest(self.settings.lora)} if self.settings.lora else {}
        return {**self.settings.identity("lora"), **adapter}

    def load(self) -> None:
        """Read the pipeline, on a GPU where there is one; a hub id is downloaded unless cached.

        Raises
        ------
        ValueError
            The checkpoint is of another architecture, as the adapter's may be, or ``resolution`` does not suit it.
        """
        denoiser = getattr(self.read(), self.DENOISER[0])
        self._side = self.side(denoiser.config)
        if self.settings.lora:
            lora.read(denoiser, self.settings.lora, self.DENOISER[0])
        self._negative = self._negated() if self.NEGATED and self.settings.guidance > 1 else {}

    def read(self, kept: Callable[[str], bool] = bool) -> Any:
        """Read the pipeline, or those of its parts whose names are ``kept``, and return it.

        Of a denoiser that is not, the configuration stands in its place, for which pipelines ask when they encode.
        """
        import diffusers
        from diffusers.configuration_utils import FrozenDict

        def options(parts: dict[str, Any]) -> dict[str, Any]:
            left_out = (name for name, one in parts.items() if isinstance(one, list) and not kept(name))
            return self._without(parts) | dict.fromkeys(left_out)

        self._pipeline, self.device = read_pipeline(self.settings, self.PIPELINE, self.DENOISER, options)
        part, kind = self.DENOISER
        if not kept(part):
            source = {"revision": self.settings.revision, "subfolder": part}
            config = getattr(diffusers, kind).load_config(self.settings.checkpoint, **source)
            setattr(self._pipeline, part, SimpleNamespace(config=FrozenDict(config)))
        wanted = self._pipeline.vae.config.latent_channels * self.PACKED
        if (reads := getattr(self._pipeline, part).config.in_channels) != wanted:
            raise ValueError(
                f"checkpoint {self.settings.checkpoint!r} is no text-to-image model: its {part} reads {reads} channels "
                f"where a latent has {wanted}, as one that repaints does; take one that paints from text alone"
            )
        return self._pipeline

    def release(self) -> None:
        """Let go of what was read."""
        self._pipeline = None

    def side(self, denoiser: Mapping[str, Any]) -> int:
        """Pixels of a picture's side, given the denoiser's configuration.

        Raises ``ValueError`` where ``resolution`` does not suit it.
        """
        latents = denoiser.get("sample_size", 128)  # FLUX names no size
        side = self.settings.resolution or int(latents * self._pipeline.vae_scale_factor)
        check_side(side, self._unit(denoiser), self.settings.checkpoint)
        return side

    def paint(self, texts: Sequence[str], seeds: Sequence[int]) -> list[np.ndarray]:
        """A picture (side, side, 3) uint8 of each text."""
        encoded = {text: self.encode(text) for text in dict.fromkeys(texts)}

        def painted(rows: list[int]) -> list[np.ndarray]:
            found = self._run([encoded[texts[k]] for k in rows], [seeds[k] for k in rows])
            return from_float(found.float().cpu().numpy())

        size, shared = self.settings.micro_batch, batches.shares(self.device)
        return batches.in_batches([()] * len(texts), size, shared, painted)

    def _run(self, texts: Sequence[dict[str, Tensor]], seeds: Sequence[int]) -> Tensor:
        """Pictures (N, 3, side, side) in [0, 1] of encoded texts."""
        import torch

        prompts = {name: torch.cat([text[name] for text in texts]) for name in texts[0]}
        negatives = {name: one.expand(len(texts), *one.shape[1:]) for name, one in self._negative.items()}
        pictures: Tensor = self._pipeline(
            **prompts,
            **negatives,
            **self._options(),
            height=self._side,
            width=self._side,
            num_inference_steps=self.settings.steps,
            guidance_scale=self.settings.guidance,
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            output_type="pt",
        ).images
        return pictures

    def encode(self, text: str) -> dict[str, Tensor]:
        """The pipeline's arguments that stand for a text, each of batch size 1."""
        plain = {"do_classifier_free_guidance": False} if self.NEGATED else {}
        return {name: one for name, one in self._encoded(text, **plain).items() if not name.startswith("negative_")}

    def _negated(self) -> dict[str, Tensor]:
        """The pipeline's arguments that stand for the negative prompt, each of batch size 1.

        An empty one is what the pipeline makes of None: zeros for SDXL, the encoding of nothing elsewhere.
        """
        found = self._encoded("", do_classifier_free_guidance=True, **self._refusing())
        return {name: one for name, one in found.items() if name.startswith("negative_")}

    def _refusing(self) -> dict[str, Any]:
        return {"negative_prompt": self.settings.negative_prompt}

    def _encoded(self, text: str, **how: Any) -> dict[str, Tensor]:
        import torch

        with torch.no_grad(), quiet():  # they warn of every long prompt, which is cut
            found = self._pipeline.encode_prompt(
                text, device=self.device, num_images_per_prompt=1, **self._places(), **how
            )
        return {name: one for name, one in zip(self.ENCODED, found, strict=False) if one is not None}

    def _places(self) -> dict[str, Any]:
        """Arguments of ``encode_prompt`` beside the usual."""
        return {}

    def _options(self) -> dict[str, Any]:
        """Arguments of the pipeline beside the usual."""
        return {}

    def _unit(self, denoiser: Mapping[str, Any]) -> int:
        """Number of pixels of which a picture's sides are multiples."""
        return int(self._pipeline.vae_scale_factor) * int(denoiser.get("patch_size") or 1)

    def _without(self, parts: dict[str, Any]) -> dict[str, Any]:
        """Which of a checkpoint's parts are not read, as arguments of ``from_pretrained``."""
        return {}
