"""BLIP captions (Li et al. 2022), with transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from PIL import Image

from models.adapters import batches
from models.adapters.ahead import moved, on_device, prepared
from models.adapters.decoding import Decoding, generated
from models.adapters.pretrained import Pretrained, read

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import BlipForConditionalGeneration


class Blip:
    """Any checkpoint of ``BlipForConditionalGeneration``; unconditional, so prompts are not used.

    On a CPU an item does not depend on its batch: every forward has ``micro_batch`` pictures, the last one filled up by
    repetition, since kernels round otherwise for another batch shape (measured on CPU in float32: scores of captions
    move by up to 1e-6, which decides between equally good words; within one shape neither a picture's place nor its
    neighbours move them). A beam search that is done is left alone while its neighbours go on.
    """

    VERSION: ClassVar[int] = 1
    PREPARES: ClassVar[bool] = True

    class Settings(Decoding, Pretrained):
        """The checkpoint, and how words are chosen."""

    _model: BlipForConditionalGeneration

    def __init__(self, settings: Blip.Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        """Checkpoint and settings; raises as :func:`models.adapters.checkpoints.identify` does."""
        return self.settings.identity(*self.settings.unused)

    def load(self) -> None:
        """Read model and processor, on a GPU where there is one; a hub id is downloaded unless cached.

        Raises
        ------
        ValueError
            The checkpoint is not a BLIP, or ``max_tokens`` are more than its text decoder has positions for.
        """
        self._model, self._processor = read(self.settings, "blip", "BlipForConditionalGeneration", "BlipProcessor")
        self.device = self._model.device.type
        positions = self._model.text_decoder.config.max_position_embeddings
        if self.settings.max_tokens > positions:
            raise ValueError(
                f"max_tokens is {self.settings.max_tokens}, but the decoder of {self.settings.checkpoint!r} has only "
                f"{positions} positions: set at most that"
            )

    def caption(self, pictures: Sequence[np.ndarray], prompts: Sequence[str], seeds: Sequence[int]) -> list[list[str]]:
        """``candidates`` captions of each picture (H, W, 3) uint8, without blanks around them."""
        import torch

        pixels = prepared(self._pixels, pictures)

        def said(rows: list[int]) -> list[list[str]]:
            batch = moved(torch.cat([pixels[i] for i in rows]), self._model.device, self._model.dtype)
            ids = generated(self._model.generate, self.settings, [seeds[i] for i in rows], pixel_values=batch)
            texts = [text.strip() for text in self._processor.batch_decode(ids, skip_special_tokens=True)]
            count = self.settings.candidates
            return [texts[i : i + count] for i in range(0, len(texts), count)]

        size, shared = self.settings.micro_batch, batches.shares(self.device)
        return on_device(lambda: batches.in_batches([()] * len(pixels), size, shared, said))

    def _pixels(self, picture: np.ndarray) -> Tensor:
        """The processor's (1, 3, side, side), of one picture alone."""
        pixels: Tensor = self._processor(images=Image.fromarray(picture), return_tensors="pt")["pixel_values"]
        return pixels
