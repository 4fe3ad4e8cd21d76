"""Low-rank adaptation of a painter's denoiser to pictures and their captions (Hu et al. 2021)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from PIL import Image, ImageOps
from pydantic import Field

from models.adapters import roles
from models.adapters.checkpoints import identify
from models.adapters.lora import FILE
from models.adapters.pipelines import quiet
from models.adapters.roles import Arrays, Lesson, Piece, Trained
from models.media.images import to_float
from models.painters.diffusion import Diffusion
from models.trainers.families import Density

logger = logging.getLogger(__name__)

SAMPLING = {"checkpoint", "revision", "steps", "guidance", "negative_prompt", "micro_batch", "seed", "lora"}
"""Settings of a painter that say how it samples, or are elsewhere in a key."""
MASKED = ("prompt_embeds", "prompt_attention_mask")
"""What is cut to a text's own length, where the model does not look behind it."""


class Lora:
    """Trains adapters of the denoiser by the loss of its family (:mod:`models.trainers.families`), and nothing else.

    Texts and pictures are encoded beforehand, as the painter encodes them when it paints: cut at the same length, never
    "cleaned". In PixArt, whose attention is masked, a text is kept at its own length; elsewhere what stands behind a
    text is seen, and kept. A picture is scaled and cropped about its centre to the painter's resolution, and kept as
    mean and deviation of the autoencoder's posterior.

    All that is drawn at random hangs on ``seed``, epoch and picture alone: so trainings on other captions of the same
    pictures begin alike, see them in the same order, and meet the same noise, and a training that was killed goes on to
    the very weights of an uninterrupted one.
    """

    VERSION: ClassVar[int] = 1
    ROLES: ClassVar[Mapping[str, str]] = {"painter": "painters"}

    class Settings(roles.Settings):
        """The defaults are those of paper *Precision or Recall*, and where it says nothing of its code (Captions4T2I).

        ``rank``, ``scale`` (that of peft's ``lora_alpha``, ``rank`` where absent) and ``targets`` (ends of layers'
        names, the family's own where absent) say what is trained; ``rate``, ``decay``, ``clip`` (of the gradient's
        norm), ``epochs`` and ``batch`` how, by AdamW at a constant rate. ``dropout``: share of captions in whose place
        nothing is said. ``latents``: drawn anew each epoch from the autoencoder's posterior, or its mode. ``density``:
        how often which moment is learnt, the family's own where absent. ``gamma``: min-SNR's, of models that predict
        noise or v; off where absent. ``guidance``: what a distilled model (FLUX.1-dev) reads as its guidance.

        ``micro_batch``: pictures in a forward, and ``processes``: GPUs, or processes on the CPU, are in no key: the
        weights are the same but for rounding.
        """

        rank: int = Field(4, ge=1)
        scale: int | None = Field(None, ge=1)
        targets: tuple[str, ...] | None = None
        rate: float = Field(1e-4, gt=0)
        decay: float = Field(1e-2, ge=0)
        clip: float = Field(1.0, gt=0)
        epochs: int = Field(10, ge=1)
        batch: int = Field(32, ge=1)
        dropout: float = Field(0.0, ge=0, le=1)
        latents: Literal["sampled", "mode"] = "sampled"
        density: Density | None = None
        gamma: float | None = Field(None, gt=0)
        guidance: float = Field(3.5, ge=1)
        micro_batch: int = Field(4, ge=1)
        processes: int = Field(1, ge=1)

    def __init__(self, settings: Settings, base: Diffusion) -> None:
        if base.settings.lora:
            raise ValueError("the painter to be trained has an adapter already (`lora`): train the checkpoint itself")
        self.settings, self.base = settings, base
        self._pipeline: Any = None

    def encoding(self) -> dict[str, Any]:
        """Checkpoint, type, resolution and lengths."""
        settings = self.base.settings
        return identify(settings.checkpoint, settings.revision) | settings.model_dump(exclude=SAMPLING)

    def identity(self) -> dict[str, Any]:
        """The base, and all settings but those that say how the work is shared out."""
        return {"base": self.encoding(), **self.settings.model_dump(exclude={"micro_batch", "processes"})}

    def load(self) -> None:
        import torch

        self.device = "cuda" if torch.cuda.is_available() else "cpu"

    def pieces(self, lessons: Sequence[Lesson]) -> list[Piece]:
        """Every distinct caption and picture; and the empty caption, where captions are dropped."""
        texts = [lesson.caption for lesson in lessons] + [""] * (self.settings.dropout > 0)
        said = [Piece("text", text) for text in texts]
        return list(dict.fromkeys([*said, *(Piece("latents", picture=lesson.picture) for lesson in lessons)]))

    def encode(self, pieces: Sequence[Piece]) -> list[Arrays]:
        """Of a text the painter's arguments, and whether its end was cut off; of a picture mean and deviation."""
        if self._pipeline is None:
            denoiser = self.base.DENOISER[0]
            self._pipeline = self.base.read(lambda part: part != denoiser)
            self._pipeline.vae.float()  # SDXL's overflows in float16
        return [self._text(piece.text) if piece.what == "text" else self._latents(piece) for piece in pieces]

    def _text(self, text: str) -> Arrays:
        import torch

        found = {name: one[0].cpu().contiguous() for name, one in self.base.encode(text).items()}
        if MASKED[1] in found:
            own = int(found[MASKED[1]].sum())
            found |= {name: found[name][:own].contiguous() for name in MASKED}
        return {**found, "cut": torch.tensor([self._cut(text)])}

    def _cut(self, text: str) -> bool:
        """Whether no text encoder reads a text to its end."""
        readers = [getattr(self._pipeline, f"tokenizer{n}", None) for n in ("", "_2", "_3")]
        with quiet():
            return all(
                len(one(text)["input_ids"])
                > (self.base.settings.max_sequence_length if "T5" in type(one).__name__ else one.model_max_length)
                for one in readers if one
            )  # fmt: skip

    def _latents(self, piece: Piece) -> Arrays:
        import torch

        assert piece.picture
        side, vae = self.base.side(getattr(self._pipeline, self.base.DENOISER[0]).config), self._pipeline.vae
        scaled = ImageOps.fit(Image.fromarray(piece.picture.pixels()), (side, side), Image.Resampling.LANCZOS)
        picture = torch.from_numpy(to_float([np.asarray(scaled)])).contiguous().to(vae.device, vae.dtype) * 2 - 1
        with torch.no_grad():
            found = vae.encode(picture).latent_dist
        return {"mean": found.mean[0].float().cpu(), "deviation": found.std[0].float().cpu()}

    def train(
        self,
        lessons: Sequence[Lesson],
        known: Callable[[Piece], Arrays],
        seed: int,
        folder: Path,
        log: Callable[[Mapping[str, float], int], None],
    ) -> Trained:
        """Train; the one file is the adapter. Figures: the mean loss of the last epoch, steps, lessons, and the share
        of captions that were cut off."""
        from models.trainers.fitting import fitted

        self._pipeline = None
        self.base.release()
        cut = [bool(known(Piece("text", lesson.caption))["cut"]) for lesson in lessons]
        if all(cut):
            logger.warning("All %d captions are longer than the painter reads: their ends teach nothing.", len(cut))
        try:
            figures = fitted(self, lessons, known, seed, folder, log)
        finally:
            self.base.release()
        return Trained({FILE: folder / FILE}, {**figures, "lessons": len(lessons), "truncated": sum(cut) / len(cut)})
