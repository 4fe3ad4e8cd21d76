"""What LLaVA-OneVision has of its own; see test_chat.py for the rest."""

from __future__ import annotations

import numpy as np
import pytest

from models.adapters.roles import Turn
from models.captioners.prompted import LlavaOnevision

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def llava(llava_checkpoint: str) -> LlavaOnevision:
    made = LlavaOnevision(LlavaOnevision.Settings(checkpoint=llava_checkpoint, max_tokens=5, micro_batch=1))
    made.load()
    return made


@pytest.mark.parametrize(
    ("shape", "views", "tokens"),
    [
        ((32, 32), 2, 16 + 4 * (4 + 1)),  # whole, and one tile with a newline after each of its rows
        ((90, 90), 2, 16 + 4 * (4 + 1)),
        ((32, 64), 3, 16 + 4 * (8 + 1)),  # whole, and two tiles side by side
        ((64, 32), 3, 16 + 8 * (4 + 1)),  # two, one above the other
        ((24, 64), 3, 16 + 4 * (8 + 1)),  # of 4 rows, padding covers half a row above and below: too little to drop
        ((16, 64), 3, 16 + 2 * (8 + 1)),  # here it covers one above and one below
    ],
)
def test_tiles_follow_the_shape(llava, shape, views, tokens):
    """Tokens counted by hand from Li et al. 2024, section 3.2, with a tower of 4 x 4 patches."""
    inputs = llava.chat._inputs([Turn("user", "Well?", (np.zeros((*shape, 3), np.uint8),))])
    assert inputs["pixel_values"].shape == (1, views, 3, 32, 32)
    assert (inputs["input_ids"] == llava.chat._model.config.image_token_id).sum() == tokens
    assert llava.caption([np.zeros((*shape, 3), np.uint8)], ["Well?"], [0])[0]
