"""LLaVA-1.5 (Liu et al. 2024, arXiv 2310.03744), with transformers."""

from __future__ import annotations

from typing import ClassVar

from models.chat.seeing import Seeing


class Llava(Seeing):
    """Any checkpoint of ``LlavaForConditionalGeneration``; it sees a picture at the size of its vision tower."""

    VERSION: ClassVar[int] = 1
    TYPE = "llava"
    MODEL = "LlavaForConditionalGeneration"
    PROCESSOR = "LlavaProcessor"
