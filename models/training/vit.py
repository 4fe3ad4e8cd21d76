"""Recipe of the pocket vision transformer: ``ViTModel`` in ViT-B's depth, trained on what each patch shows."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from transformers import ViTConfig, ViTImageProcessor, ViTModel

from models.training.data import COUNTS, GRID, PATCH
from models.training.recipe import Recipe, save_half, to_signed
from models.training.seeing import Heads, Lessons, seen

WIDTH = 96
SHARES = {"scenes": 32, "referring": 8, "series": 6, "plots": 2, "radiographs": 8, "spectrograms": 8}
"""Pictures of each world in a batch."""


class Tower(nn.Module):
    """The tower, and beside it the heads that teach it."""

    def __init__(self, vit: ViTModel, heads: Heads) -> None:
        super().__init__()
        self.vit, self.heads = vit, heads


class Vit(Recipe[Tower]):
    """Recipe of twelve narrow layers, deep enough to study the drift of attention with depth."""

    name = "vit"
    folder = "vit"
    steps = 4400
    rate = 1e-3
    counts: ClassVar = COUNTS
    card: ClassVar = {"library_name": "transformers", "pipeline_tag": "image-feature-extraction"}
    about = """
A small vision transformer in the layout of ViT-B (12 layers, width 96, 4 heads, patches of 8 pixels) for 64 x 64
pictures of the generated worlds. It was taught, by linear heads that are not shipped, what the object under each
patch is and where in the picture its centre lies, and of the whole picture its background, the findings of a
radiograph, the kind of a clip and the course of a series. The figures are what those heads name rightly on unseen
pictures.
"""

    @cached_property
    def lessons(self) -> Lessons:
        return Lessons(self.sources)

    def build(self) -> Tower:
        config = ViTConfig(
            hidden_size=WIDTH, num_hidden_layers=12, num_attention_heads=4, intermediate_size=3 * WIDTH,
            image_size=PATCH * GRID, patch_size=PATCH, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        )  # fmt: skip
        return Tower(ViTModel(config, add_pooling_layer=False), Heads(WIDTH, len(self.lessons.marks)))

    def loss(self, model: Tower, rng: np.random.Generator, progress: float) -> tuple[Tensor, dict[str, float]]:
        views = self.lessons.draw(rng, SHARES)
        states = model.vit(pixel_values=to_signed(views.pictures).to(self.device)).last_hidden_state
        return self.lessons.loss(model.heads, views, states[:, 1:], states[:, 0]), {}

    def evaluate(self, model: Tower) -> dict[str, float]:
        figures: dict[str, float] = {}
        for world in self.counts:
            examples = self.unseen(world)
            lessons = Lessons({world: examples}, self.lessons.marks)
            states = torch.cat([
                model.vit(pixel_values=to_signed(examples.pictures[start : start + 64])).last_hidden_state
                for start in range(0, len(examples), 64)
            ])  # fmt: skip
            figures |= seen(model.heads, lessons, world, states[:, 1:], states[:, 0])
        return figures

    def save(self, model: Tower, folder: Path) -> None:
        save_half(model.vit, folder)
        size = {"height": PATCH * GRID, "width": PATCH * GRID}
        ViTImageProcessor(size=size).save_pretrained(folder)
