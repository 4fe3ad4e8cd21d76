"""Qwen2-VL (Wang et al. 2024, arXiv 2409.12191), with transformers."""

from __future__ import annotations

from models.chat.qwen2_5_vl import Qwen25Vl


class Qwen2Vl(Qwen25Vl):
    """Any checkpoint of ``Qwen2VLForConditionalGeneration``; it sees a picture at its own size and shape."""

    TYPE = "qwen2_vl"
    MODEL = "Qwen2VLForConditionalGeneration"
    PROCESSOR = "Qwen2VLProcessor"
