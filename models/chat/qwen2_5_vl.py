"""Qwen2.5-VL (Bai et al. 2025, arXiv 2502.13923), with transformers."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator

from models.chat.in_process import ChatSettings
from models.chat.seeing import Seeing


class Qwen25VlSettings(ChatSettings):
    """``min_pixels`` and ``max_pixels``: pictures outside are scaled until height times width is inside; None leaves
    the checkpoint's. More pixels are more tokens: one for 28 x 28 of them in the published checkpoints."""

    min_pixels: int | None = Field(None, ge=1)
    max_pixels: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Qwen25VlSettings:
        if self.min_pixels and self.max_pixels and self.min_pixels > self.max_pixels:
            raise ValueError(f"min_pixels {self.min_pixels} is more than max_pixels {self.max_pixels}: swap them")
        return self


class Qwen25Vl(Seeing):
    """Any checkpoint of ``Qwen2_5_VLForConditionalGeneration``; it sees a picture at its own size and shape."""

    VERSION: ClassVar[int] = 1
    Settings: ClassVar = Qwen25VlSettings
    TYPE = "qwen2_5_vl"
    MODEL = "Qwen2_5_VLForConditionalGeneration"
    PROCESSOR = "Qwen2_5_VLProcessor"

    def load(self) -> None:
        """As :meth:`models.chat.in_process.InProcess.load`."""
        super().load()
        processor, settings = self._processor.image_processor, self.settings
        limits = {
            "shortest_edge": settings.min_pixels,
            "longest_edge": settings.max_pixels,
        }  # pixels, despite the names
        processor.size = dict(processor.size) | {name: pixels for name, pixels in limits.items() if pixels}
