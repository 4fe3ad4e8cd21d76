"""Recipe of the trunk for LPIPS: torchvision's SqueezeNet 1.1 features, trained on the world's objects."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import squeezenet1_1

from models.pocket.probe import COUNTS
from models.training.probe import Attributes

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""The lpips package's scaling layer (version 0.1): the trunk sees ``(picture - SHIFT) / SCALE``, picture in [-1, 1]."""


class Trunk(nn.Module):
    """SqueezeNet's features under a linear classifier of the centre object; only the features are shipped."""

    def __init__(self) -> None:
        super().__init__()
        self.features = squeezenet1_1(weights=None).features
        self.head = nn.Linear(512 * 9, sum(COUNTS))

    def forward(self, pictures: Tensor) -> Tensor:
        scaled = (pictures - torch.tensor(SHIFT)[:, None, None]) / torch.tensor(SCALE)[:, None, None]
        return self.head(self.features(scaled).flatten(1))


class Squeezenet(Attributes[Trunk]):
    """A classifier of what is at the centre of the picture; colours and textures make its filters."""

    name = "squeezenet"
    folder = "squeezenet"
    steps = 1500
    rate = 1e-3
    side = 64
    card: ClassVar = {"library_name": "torchvision", "pipeline_tag": "image-feature-extraction"}
    about = """
The features of torchvision's `squeezenet1_1` (keys `features.*`, float16), trained as a classifier of shape, colour,
texture and size of the object at the centre of a `scenes` picture, for the `squeeze` variant of LPIPS. The trunk is
ours; the linear heads are those that the lpips package carries, which were calibrated for an ImageNet trunk: with this
trunk the number is a perceptual distance of LPIPS's form, to be compared only with itself.

The figures: accuracy by attribute, and the LPIPS (package heads) of Gaussian noise of growing strength, of an identical
picture and of a blur.
"""

    def build(self) -> Trunk:
        return Trunk()

    def evaluate(self, model: Trunk) -> dict[str, float]:
        return self.accuracies(model, self.held_out) | self.distances()

    def distances(self) -> dict[str, float]:
        """Mean LPIPS of distorted held-out pictures, through the shipped file and the measure itself."""
        import cv2

        from models.measures.pictures.perceptual import Lpips

        measure = Lpips(Lpips.Settings(net="squeeze", weights=str(self.weights / self.folder)))
        measure.load()
        pictures = list(self.held_out.pictures[:16])
        noise = np.random.default_rng(0).standard_normal(pictures[0].shape)
        distorted = {
            f"lpips of noise {level}": [np.clip(p + level * noise, 0, 255).astype(np.uint8) for p in pictures]
            for level in (0, 8, 16, 32, 64)
        } | {"lpips of blur": [cv2.GaussianBlur(p, (0, 0), 2) for p in pictures]}
        everywhere = [np.ones((64, 64), bool)] * len(pictures)
        return {
            name: float(np.mean([one["lpips"]["whole"] for one in measure.measure(pictures, changed, everywhere)]))
            for name, changed in distorted.items()
        }

    def save(self, model: Trunk, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        state = {f"features.{name}": value.half().contiguous() for name, value in model.features.state_dict().items()}
        save_file(state, folder / "model.safetensors")
