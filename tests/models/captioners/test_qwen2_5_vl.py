"""What Qwen2.5-VL has of its own; see test_chat.py for the rest."""

from __future__ import annotations

import numpy as np
import pytest

from models.adapters.roles import Turn
from models.captioners.prompted import Qwen25Vl

pytestmark = pytest.mark.usefixtures("one_thread")


def qwen(checkpoint: str, **settings) -> Qwen25Vl:
    made = Qwen25Vl(Qwen25Vl.Settings(checkpoint=checkpoint, max_tokens=5, micro_batch=1, **settings))
    made.load()
    return made


@pytest.mark.parametrize(
    ("settings", "shape", "grid"),
    [
        ({}, (32, 48), (8, 12)),  # as it is, in patches of 4 pixels
        ({}, (128, 128), (16, 16)),  # the checkpoint's max_pixels are 64 x 64
        ({}, (8, 8), (4, 4)),  # and its min_pixels 16 x 16
        ({"max_pixels": 32 * 32}, (128, 128), (8, 8)),
        ({"max_pixels": 32 * 32}, (8, 8), (4, 4)),
        ({"min_pixels": 32 * 32}, (8, 8), (8, 8)),
        ({"min_pixels": 64 * 16, "max_pixels": 64 * 16}, (32, 128), (4, 16)),
    ],
)
def test_pixels_are_limited(qwen_checkpoint, settings, shape, grid):
    chat, picture = qwen(qwen_checkpoint, **settings), np.zeros((*shape, 3), np.uint8)
    inputs = chat.chat._inputs([Turn("user", "Well?", (picture,))])
    assert inputs["image_grid_thw"].tolist() == [[1, *grid]]
    assert (inputs["input_ids"] == chat.chat._model.config.image_token_id).sum() == grid[0] * grid[1] // 4
    assert chat.caption([picture], ["Well?"], [0])[0]


def test_limits_are_other_items(qwen_checkpoint):
    plain = Qwen25Vl(Qwen25Vl.Settings(checkpoint=qwen_checkpoint)).identity()
    for change in ({"min_pixels": 100}, {"max_pixels": 100}):
        assert Qwen25Vl(Qwen25Vl.Settings(checkpoint=qwen_checkpoint, **change)).identity() != plain


def test_limits_in_the_wrong_order_are_refused():
    with pytest.raises(ValueError, match="min_pixels 100 is more than max_pixels 50: swap them"):
        Qwen25Vl.Settings(checkpoint="x", min_pixels=100, max_pixels=50)
