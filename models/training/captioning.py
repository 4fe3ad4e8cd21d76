"""Base of the recipes of the pocket captioners: red boxes, lessons on all worlds, and figures of captions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import ClassVar

import numpy as np

from models.media.images import draw_box
from models.training.answers import said_right
from models.training.data import COUNTS, Examples
from models.training.recipe import Model, Recipe
from models.training.seeing import Lessons


class Captioning(Recipe[Model]):
    """A recipe that learns to say what the pictures of all worlds show."""

    counts: ClassVar[Mapping[str, int]] = COUNTS

    @cached_property
    def lessons(self) -> Lessons:
        """All that is learnt from, with the box drawn where one is meant."""
        return Lessons(self.sources | {"referring": framed(self.learnt("referring"))})

    def described(self, say: Callable[[str, np.ndarray], list[str]], count: int) -> dict[str, float]:
        """Figures of the captions that ``say(world, pictures)`` gives to ``count`` unseen pictures of each world."""
        figures: dict[str, float] = {}
        for world in self.counts:
            examples = framed(self.unseen(world)) if world == "referring" else self.unseen(world)
            found = said_right(world, say(world, examples.pictures[:count]), examples.annotations[:count])
            figures |= {f"{world} {name}": value for name, value in found.items()}
        return figures


def framed(examples: Examples) -> Examples:
    """Examples of referring expressions as captioners see them: with a red box around the object that is meant."""
    boxes = [graph["objects"][graph["target"]]["box"] for graph in examples.annotations]
    drawn = np.stack([draw_box(picture, box) for picture, box in zip(examples.pictures, boxes, strict=True)])
    return Examples(drawn, examples.captions, examples.annotations)
