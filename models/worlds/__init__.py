"""Generated worlds: pictures of 64 x 64 pixels with captions and an exact account of what they show."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.adapters.names import unknown

WORLDS = {
    "scenes": "models.worlds.scenes:scene",
    "referring": "models.worlds.referring:referring",
    "series": "models.worlds.series:series",
    "radiographs": "models.worlds.radiographs:radiograph",
    "spectrograms": "models.worlds.spectrograms:spectrogram",
}
"""World -> its function of a seed and an index; the module's ``WORLD_VERSION`` rises when equal arguments give more or
other than they did."""


@dataclass(frozen=True)
class Example:
    """A picture (64, 64, 3) uint8, what it shows (JSON-able) and its references."""

    picture: np.ndarray
    graph: dict[str, Any]
    references: list[str]


def example(world: str, seed: int, index: int) -> Example:
    """Example ``index`` of one seed of a world: equal arguments give equal bytes on every call and machine.

    >>> example("scenes", 0, 3).picture.shape
    (64, 64, 3)
    """
    module, function = _where(world)
    return getattr(importlib.import_module(module), function)(seed, index)


def version(world: str) -> int:
    """The version of a world; raises ValueError, with the nearest name, where there is none of this one."""
    return importlib.import_module(_where(world)[0]).WORLD_VERSION


def _where(world: str) -> tuple[str, str]:
    if world not in WORLDS:
        raise ValueError(unknown("world", world, WORLDS))
    module, _, function = WORLDS[world].partition(":")
    return module, function
