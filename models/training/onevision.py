"""What the recipes in LLaVA-OneVision's layout share: the chats of the released checkpoints, and how one is saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import (
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessor,
    LlavaOnevisionProcessor,
    LlavaOnevisionVideoProcessor,
    PreTrainedTokenizerFast,
)

from models.training.data import GRID, PATCH
from models.training.recipe import save_half

SIDE = PATCH * GRID
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + ' ' }}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ '\n' + part['text'] }}{% endif %}{% endfor %}"
    "{{ '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""That of the released checkpoints."""


def save(captioner: LlavaOnevisionForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write a captioner in float16 with its processor."""
    save_half(captioner, folder)
    half = [0.5] * 3
    shape: dict[str, Any] = {"size": {"height": SIDE, "width": SIDE}, "image_mean": half, "image_std": half}
    LlavaOnevisionProcessor(
        LlavaOnevisionImageProcessor(image_grid_pinpoints=[[SIDE, SIDE]], **shape), tokenizer,
        LlavaOnevisionVideoProcessor(**shape), num_image_tokens=GRID * GRID,
        vision_feature_select_strategy="full", chat_template=TEMPLATE,
    ).save_pretrained(folder)  # fmt: skip
