"""BLIP captions by beam search (Li et al. 2022), with transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from PIL import Image
from pydantic import Field, model_validator

from models import roles
from models.checkpoints import identify


class Blip:
    """Any checkpoint of ``BlipForConditionalGeneration``; unconditional, so prompts and seeds are not used.

    An item does not depend on its batch: every forward has ``micro_batch`` pictures, the last one filled up by
    repetition, since kernels round otherwise for another batch shape (measured on CPU in float32: scores of captions
    move by up to 1e-6, which decides between equally good words; within one shape neither a picture's place nor its
    neighbours move them). A beam search that is done is left alone while its neighbours go on.
    """

    VERSION: ClassVar[int] = 1

    class Settings(roles.Settings):
        """``checkpoint``: a folder, or a hub id with its commit as ``revision``.

        ``candidates`` captions are kept of ``beams`` that are searched, each of at most ``max_tokens`` tokens. A
        sum of log-probabilities is divided by length ** ``length_penalty``: above 0 long captions gain.
        """

        checkpoint: str
        revision: str | None = None
        beams: int = Field(6, ge=1)
        candidates: int = Field(3, ge=1)
        max_tokens: int = Field(40, ge=1)
        length_penalty: float = 1.0
        dtype: Literal["float32", "float16", "bfloat16"] = "float32"
        micro_batch: int = Field(8, ge=1)

        @model_validator(mode="after")
        def _enough_beams(self) -> Blip.Settings:
            if self.candidates > self.beams:
                raise ValueError(
                    f"{self.candidates} candidates need as many beams, and there are {self.beams}: raise `beams` or "
                    "lower `candidates`"
                )
            return self

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        """Checkpoint and settings; raises as :func:`models.checkpoints.identify` does."""
        settings = self.settings.model_dump(exclude={"checkpoint", "revision"})
        return identify(self.settings.checkpoint, self.settings.revision) | settings

    def load(self) -> None:
        """Read model and processor, on a GPU where there is one; a hub id is downloaded unless cached.

        Raises
        ------
        ValueError
            ``max_tokens`` are more than the text decoder has positions for.
        """
        import torch
        import transformers

        identify(self.settings.checkpoint, self.settings.revision)
        transformers.utils.logging.disable_progress_bar()
        source = {"pretrained_model_name_or_path": self.settings.checkpoint, "revision": self.settings.revision}
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self._dtype = getattr(torch, self.settings.dtype)
        self._processor = transformers.BlipProcessor.from_pretrained(**source)
        self._model = transformers.BlipForConditionalGeneration.from_pretrained(**source, dtype=self._dtype)
        self._model.eval().to(self.device)
        positions = self._model.config.text_config.max_position_embeddings
        if self.settings.max_tokens > positions:
            raise ValueError(
                f"max_tokens is {self.settings.max_tokens}, but the decoder of {self.settings.checkpoint!r} has only "
                f"{positions} positions: set at most that"
            )

    def caption(self, pictures: Sequence[np.ndarray], prompts: Sequence[str], seeds: Sequence[int]) -> list[list[str]]:
        """``candidates`` captions of each picture (H, W, 3) uint8, best first, without blanks around them."""
        size, results = self.settings.micro_batch, []
        for start in range(0, len(pictures), size):
            some = list(pictures[start : start + size])
            results += self._caption(some + some[-1:] * (size - len(some)))[: len(some)]
        return results

    def _caption(self, pictures: list[np.ndarray]) -> list[list[str]]:
        """One beam search over a full micro-batch."""
        images = [Image.fromarray(picture) for picture in pictures]
        pixels = self._processor(images=images, return_tensors="pt")["pixel_values"]
        ids = self._model.generate(
            pixel_values=pixels.to(self.device, self._dtype),
            num_beams=self.settings.beams,
            num_return_sequences=self.settings.candidates,
            max_new_tokens=self.settings.max_tokens,
            length_penalty=self.settings.length_penalty,
            do_sample=False,
        )
        texts = [text.strip() for text in self._processor.batch_decode(ids, skip_special_tokens=True)]
        count = self.settings.candidates
        return [texts[i : i + count] for i in range(0, len(texts), count)]
