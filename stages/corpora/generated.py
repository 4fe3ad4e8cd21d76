"""The generated worlds as corpora: any number of pictures, each with an exact account of what it shows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from models.adapters import settings
from models.worlds import Example, example, version
from stages.corpora import Sample, Source


def _source(about: str) -> Source:
    return Source(about=about, where="drawn by models/worlds", licence="that of this project")


class Generated:
    """Examples 0 to ``count`` - 1 of a seed of one world."""

    WORLD: ClassVar[str]
    SOURCE: ClassVar[Source]

    class Settings(settings.Settings):
        seed: int = Field(0, ge=0)
        """Which pictures; the pocket models' training seeds are in their model cards, and a study takes another."""

        count: int = Field(100, ge=1)
        """How many pictures; the first ones stay the same when it grows."""

        split: str = "test"
        """What the samples' split is called."""

        path: Path = Path("models/worlds")
        """The program that draws the worlds, for DVC to watch; nothing is read from it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def VERSION(self) -> int:
        return version(self.WORLD)

    def samples(self) -> Iterator[Sample]:
        seed = self.settings.seed
        for index, made in islice(self.examples(), self.settings.count):
            yield Sample(
                sample=f"seed-{seed}/{index}",
                split=self.settings.split,
                source={"world": self.WORLD, "version": self.VERSION, "seed": seed, "index": index},
                references=tuple(made.references),
                annotations=made.graph,
                picture=partial(_picture, self.WORLD, seed, index),
            )

    def examples(self) -> Iterator[tuple[int, Example]]:
        """The examples of the world that are taken, with their indices, without an end."""
        return ((index, example(self.WORLD, self.settings.seed, index)) for index in count())


class Scenes(Generated):
    WORLD = "scenes"
    SOURCE = _source("one to three shapes on a ground, with five captions each")

    class Settings(Generated.Settings):
        objects: int = Field(1, ge=1, le=3)
        """Only scenes of at least so many shapes are taken: what a caption can tell of is then there."""

    settings: Settings

    def examples(self) -> Iterator[tuple[int, Example]]:
        found = super().examples()
        return ((index, made) for index, made in found if len(made.graph["objects"]) >= self.settings.objects)


class Referring(Generated):
    WORLD = "referring"
    SOURCE = _source("three to five shapes, with three expressions that single out one of them")


class Series(Generated):
    WORLD = "series"
    SOURCE = _source("time series of 12 points as plots, with three captions each")


class Radiographs(Generated):
    WORLD = "radiographs"
    SOURCE = _source("chest radiographs in outline, with findings")


class Spectrograms(Generated):
    WORLD = "spectrograms"
    SOURCE = _source("spectrograms of synthesised clips, with the kind of sound")


def _picture(world: str, seed: int, index: int) -> np.ndarray:
    return example(world, seed, index).picture
