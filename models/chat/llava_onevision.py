"""LLaVA-OneVision (Li et al. 2024, arXiv 2408.03326), with transformers."""

from __future__ import annotations

from typing import ClassVar

from models.chat.seeing import Seeing


class LlavaOnevision(Seeing):
    """Any checkpoint of ``LlavaOnevisionForConditionalGeneration``.

    It sees a picture whole, shrunk to the size of its vision tower, and again in tiles of that size, as many as the
    checkpoint's ``image_grid_pinpoints`` allow for the picture's shape; of several pictures, each whole only.
    """

    VERSION: ClassVar[int] = 1
    TYPE = "llava_onevision"
    MODEL = "LlavaOnevisionForConditionalGeneration"
    PROCESSOR = "LlavaOnevisionProcessor"
