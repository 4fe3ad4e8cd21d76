"""The generated ``scenes`` world as a corpus: any number of pictures, each with its exact scene graph."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import Field

from models import settings
from models.pocket.worlds.scenes import WORLD_VERSION, scene
from stages.corpora import Sample


class Scenes:
    """Scenes 0 to ``count`` - 1 of the world ``seed``."""

    VERSION = WORLD_VERSION

    class Settings(settings.Settings):
        seed: int = Field(0, ge=0)
        """Which world; the pocket models' training seeds are in their model cards, and a study takes another."""

        count: int = Field(100, ge=1)
        """How many scenes; the first ones stay the same when it grows."""

        split: str = "test"
        """What the samples' split is called."""

        path: Path = Path("models/pocket/worlds")
        """The program that draws the world, for DVC to watch; nothing is read from it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def samples(self) -> Iterator[Sample]:
        seed = self.settings.seed
        for index in range(self.settings.count):
            made = scene(seed, index)
            yield Sample(
                sample=f"seed-{seed}/{index}",
                split=self.settings.split,
                source={"world": "scenes", "version": self.VERSION, "seed": seed, "index": index},
                references=tuple(made.references),
                annotations=made.graph,
                picture=partial(_picture, seed, index),
            )


def _picture(seed: int, index: int) -> np.ndarray:
    return scene(seed, index).picture
