"""The pocket probe: names what stands at the centre of a crop of a scene."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from models.worlds.grammar import WORDS

CROP = 36
COUNTS = [len(values) for values in WORDS.values()]


class Classifier(nn.Sequential):
    """Logits (N, 19) of the attributes of the object at the centre of a crop (N, 3, 36, 36) in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 24, 3, 1, 1), nn.ReLU(), nn.Conv2d(24, 32, 3, 2, 1), nn.ReLU(),
            nn.Conv2d(32, 48, 3, 2, 1), nn.ReLU(), nn.Conv2d(48, 64, 3, 2, 1), nn.ReLU(),
            nn.Flatten(), nn.Linear(64 * 25, sum(COUNTS)),
        )  # fmt: skip


def load(folder: Path) -> Classifier:
    """The shipped probe, in float32."""
    model = Classifier()
    model.load_state_dict({name: value.float() for name, value in load_file(folder / "model.safetensors").items()})
    return model.eval()


def crop(picture: np.ndarray, box: Sequence[int], side: int, shift: Sequence[int] = (0, 0)) -> np.ndarray:
    """The ``side`` x ``side`` pixels around a box's centre; the picture's rim goes on outside it.

    >>> crop(np.zeros((64, 64, 3), np.uint8), [0, 0, 14, 14], 36).shape
    (36, 36, 3)
    """
    x, y, w, h = box
    rows = np.arange(side) + y + h // 2 - side // 2 + shift[1]
    columns = np.arange(side) + x + w // 2 - side // 2 + shift[0]
    height, width, _ = picture.shape
    return picture[np.clip(rows, 0, height - 1)][:, np.clip(columns, 0, width - 1)]


def to_signed(pictures: np.ndarray) -> Tensor:
    """(N, H, W, 3) uint8 as (N, 3, H, W) float32 in [-1, 1], as diffusers wants it."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


@torch.no_grad()
def named(model: nn.Module, crops: np.ndarray) -> Tensor:
    """The classes (N, 4) that a model names for crops (N, side, side, 3) uint8."""
    return torch.stack([one.argmax(1) for one in model(to_signed(crops)).split(COUNTS, 1)], 1)
