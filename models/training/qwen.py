"""Recipe of the pocket Qwen2.5-VL: its own vision transformer, a merger, a decoder with rotary places in three axes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

from models.training.data import GRID, PATCH
from models.training.recipe import save_half
from models.training.seeing import Heads
from models.training.talking import Talker, Talking

VISION, DEPTH, TEXT, LAYERS, HEADS = 96, 8, 128, 3, 4
SIDE = PATCH * GRID
PAIRS = TEXT // HEADS // 2
SECTION = [PAIRS - 2 * (PAIRS * 3 // 8), PAIRS * 3 // 8, PAIRS * 3 // 8]
"""Pairs of a head's width that turn with time, height and width, in Qwen's shares."""
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""That of the released checkpoints, without their system message."""


class Qwen(Talking[Qwen2_5_VLForConditionalGeneration]):
    """Recipe with Qwen's own tower, which is trained here too."""

    name = "qwen"
    folder = "qwen2.5-vl"
    steps = 2000
    looking = 0.3
    special = ("<|vision_start|>", "<|vision_end|>", "<|video_pad|>", "<|image_pad|>")
    about = """
A small Qwen2.5-VL (vision transformer of 8 layers and width 96 with full attention, patches of 8 pixels, no merging;
decoder of 3 layers and width 128) for 64 x 64 pictures of the generated worlds. It knows no other pictures. It was
first taught what each patch shows, then to follow instructions: describe the image; describe one named object; say
where it is; answer yes or no about an object, a colour, a texture, a count or a relation; describe what is inside a
red box.
"""

    def build(self) -> Talker[Qwen2_5_VLForConditionalGeneration]:
        ids = self.token
        text = {
            "vocab_size": len(self.tokenizer), "hidden_size": TEXT, "intermediate_size": 3 * TEXT,
            "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": HEADS,
            "max_position_embeddings": 512, "bos_token_id": None, "eos_token_id": ids("<|im_end|>"),
            "pad_token_id": ids("<|endoftext|>"),
            "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": SECTION},
        }  # fmt: skip
        vision = {
            "depth": DEPTH, "hidden_size": VISION, "intermediate_size": 256, "num_heads": 4, "patch_size": PATCH,
            "spatial_merge_size": 1, "temporal_patch_size": 2, "window_size": SIDE, "out_hidden_size": TEXT,
            "fullatt_block_indexes": list(range(DEPTH)),
        }  # fmt: skip
        config = Qwen2_5_VLConfig(
            text_config=text, vision_config=vision, image_token_id=ids("<|image_pad|>"),
            video_token_id=ids("<|video_pad|>"), vision_start_token_id=ids("<|vision_start|>"),
            vision_end_token_id=ids("<|vision_end|>"), tie_word_embeddings=True,
        )  # fmt: skip
        return Talker(Qwen2_5_VLForConditionalGeneration(config), Heads(VISION, len(self.lessons.marks)))

    def look(self, model: Qwen2_5_VLForConditionalGeneration, pixels: Tensor) -> tuple[Tensor, Tensor]:
        count = len(pixels)
        grid = torch.tensor([[1, GRID, GRID]]).expand(count, -1).to(pixels.device)
        seen = model.model.visual(flat_patches(pixels), grid_thw=grid)
        return seen.last_hidden_state.view(count, GRID * GRID, -1), seen.pooler_output.view(count, GRID * GRID, -1)

    def opening(self) -> tuple[Tensor, Tensor, int]:
        chat = "<|im_start|>user<|vision_start|>" + "<|image_pad|>" * (GRID * GRID) + "<|vision_end|>"
        ids = torch.tensor(self.tokenizer(chat)["input_ids"])
        first = int((ids == self.picture_id).nonzero()[0])
        rows, columns = torch.meshgrid(torch.arange(GRID), torch.arange(GRID), indexing="ij")
        picture = first + torch.stack([torch.zeros(GRID * GRID, dtype=torch.long), rows.flatten(), columns.flatten()])
        before = torch.arange(first).expand(3, -1)
        after = torch.full((3, 1), first + GRID)  # text goes on behind the largest place in the picture
        return ids, torch.cat([before, picture, after], 1), first + GRID + 1

    def save(self, model: Talker[Qwen2_5_VLForConditionalGeneration], folder: Path) -> None:
        save_half(model.captioner, folder)
        sizes: dict[str, Any] = {
            "patch_size": PATCH, "merge_size": 1, "temporal_patch_size": 2, "min_pixels": SIDE * SIDE,
            "max_pixels": SIDE * SIDE, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
        }  # fmt: skip
        Qwen2_5_VLProcessor(
            Qwen2VLImageProcessor(**sizes), self.tokenizer, Qwen2VLVideoProcessor(**sizes), chat_template=TEMPLATE
        ).save_pretrained(folder)


def flat_patches(pixels: Tensor) -> Tensor:
    """(N, 3, 64, 64) as the processor flattens them: (N * 64, 3 * 2 * 8 * 8), a still picture being two moments.

    >>> flat_patches(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([128, 384])
    """
    rows = pixels.reshape(len(pixels), 3, GRID, PATCH, GRID, PATCH).permute(0, 2, 4, 1, 3, 5)
    return rows.unsqueeze(4).expand(*rows.shape[:4], 2, PATCH, PATCH).reshape(-1, 3 * 2 * PATCH * PATCH)
