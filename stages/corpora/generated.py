"""The generated worlds as corpora: any number of pictures, each with an exact account of what it shows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from models.adapters import settings
from models.worlds import Example, example, version
from models.worlds.instructions import instructed
from models.worlds.questions import asked
from stages.corpora import Sample, Source

QUESTIONS = 1
"""What their random numbers begin with, beside seed and index of the picture."""


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
                annotations=self.known(made.graph, index),
                picture=partial(_picture, self.WORLD, seed, index),
            )

    def examples(self) -> Iterator[tuple[int, Example]]:
        """The examples of the world that are taken, with their indices, without an end."""
        return ((index, example(self.WORLD, self.settings.seed, index)) for index in count())

    def known(self, graph: dict[str, Any], index: int) -> dict[str, Any]:
        """What is known of a picture."""
        return graph


class Scenes(Generated):
    WORLD = "scenes"
    SOURCE = _source("one to three shapes on a ground, with five captions each")

    class Settings(Generated.Settings):
        objects: int = Field(1, ge=1, le=3)
        """Only scenes of at least so many shapes are taken: what a caption can tell of is then there."""
        questions: int = Field(0, ge=0)
        """How many questions of yes and no there are of each picture, for measures that ask a judge."""
        instructions: int = Field(0, ge=0)
        """How many questions and instructions there are of each picture, of all kinds, for models that learn answers;
        three at least are."""

        @model_validator(mode="after")
        def _one_of_them(self) -> Scenes.Settings:
            if self.questions and self.instructions:
                raise ValueError("has questions and instructions: take two corpora")
            return self

    settings: Settings

    def examples(self) -> Iterator[tuple[int, Example]]:
        found = super().examples()
        return ((index, made) for index, made in found if len(made.graph["objects"]) >= self.settings.objects)

    def known(self, graph: dict[str, Any], index: int) -> dict[str, Any]:
        """The scene graph and, where questions are wanted, these."""
        rng = np.random.default_rng([self.settings.seed, index, QUESTIONS])
        if self.settings.instructions:
            return graph | {"questions": instructed(graph, rng, self.settings.instructions)}
        if self.settings.questions:
            return graph | {"questions": asked(graph, rng, self.settings.questions)}
        return graph


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
