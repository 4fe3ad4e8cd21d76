"""Recipe of the probe: says of the object at the centre of a crop what it is. It judges repainted pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from models.pocket.probe import COUNTS, CROP, Classifier, crop, named, to_signed
from models.training.data import Examples
from models.training.recipe import Model, Recipe
from models.worlds.grammar import WORDS


class Attributes(Recipe[Model]):
    """Base of recipes that learn to name the attributes of an object at the centre of a crop."""

    side: ClassVar[int]
    learns_plots = False

    def prepare(self, model: Model) -> None:
        self.things = [(number, thing) for number, graph in enumerate(self.scenes.annotations)
                       for thing in graph["objects"]]  # fmt: skip

    def examples(self, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        """Crops, up to a pixel off the centre and a little noisy, and classes (count, 4)."""
        picked = [self.things[i] for i in rng.integers(len(self.things), size=count)]
        shifts = rng.integers(-1, 2, (count, 2))
        crops = np.stack([
            crop(self.scenes.pictures[number], thing["box"], self.side, shift)
            for (number, thing), shift in zip(picked, shifts, strict=True)
        ])  # fmt: skip
        pictures = to_signed(crops)
        noise = torch.randn_like(pictures) * 0.1 * torch.rand(count, 1, 1, 1)
        return (pictures + noise).to(memory_format=torch.channels_last), classes([thing for _, thing in picked])

    def loss(self, model: Model, rng: np.random.Generator, progress: float) -> tuple[Tensor, dict[str, float]]:
        pictures, wanted = (one.to(self.device) for one in self.examples(rng, 64))
        said = model(pictures).float().split(COUNTS, 1)
        return sum((cross_entropy(one, wanted[:, k]) for k, one in enumerate(said)), torch.zeros(())), {}

    def accuracies(self, model: nn.Module, examples: Examples) -> dict[str, float]:
        """Share of the objects of ``examples`` named rightly, by attribute."""
        pairs = [(picture, thing) for picture, graph in zip(examples.pictures, examples.annotations, strict=True)
                 for thing in graph["objects"]]  # fmt: skip
        crops = np.stack([crop(picture, thing["box"], self.side) for picture, thing in pairs])
        right = named(model, crops) == classes([thing for _, thing in pairs])
        return dict(zip(WORDS, right.float().mean(0).tolist(), strict=True))


class Probe(Attributes[Classifier]):
    """Four convolutions on what surrounds the object's centre."""

    name = "probe"
    folder = "probe"
    steps = 1500
    rate = 2e-3
    side = CROP
    card: ClassVar = {"library_name": "pytorch", "pipeline_tag": "image-classification"}
    about = """
A small convolutional network that names shape, colour, texture and size of the object at the centre of a 36 x 36 crop
of a `scenes` picture. It is the judge of repainted objects: `models.training.repainting`.
"""

    def build(self) -> Classifier:
        return Classifier()

    def evaluate(self, model: Classifier) -> dict[str, float]:
        return self.accuracies(model, self.held_out)

    def save(self, model: Classifier, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: value.half().contiguous() for name, value in model.state_dict().items()},
                  folder / "model.safetensors")  # fmt: skip
        classes = {name: list(values) for name, values in WORDS.items()}
        (folder / "config.json").write_text(json.dumps({"crop": CROP, "classes": classes}, indent=2) + "\n")


def classes(things: Sequence[dict[str, Any]]) -> Tensor:
    """The numbers (N, 4) of objects' attributes, in the order of the grammar."""
    return torch.tensor([[list(values).index(thing[name]) for name, values in WORDS.items()] for thing in things])
