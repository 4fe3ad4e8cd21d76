"""Finds the shapes and the ground of a painted scene: the pocket probe looks at each region unlike the ground."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from models.adapters import roles
from models.adapters.checkpoints import identify
from models.adapters.roles import Detection
from models.worlds.grammar import FULL, WORDS, Graph
from models.worlds.scenes import BACKGROUNDS

FOREIGN = 40
"""By how many levels in some channel a pixel must differ from the ground to be part of an object."""
SMALLEST = 40
"""Pixels of an object, at least: a small cross has 80."""
GROUND = "background"
"""The last word of the ground's label."""


def seen(picture: np.ndarray, probe: Any) -> Graph:
    """The scene graph of a picture (64, 64, 3) uint8: the ground that most pixels are near to, and each connected
    region that differs from it, as the probe names it."""
    from scipy.ndimage import find_objects, label

    from models.pocket.probe import CROP, crop, named

    off = {name: np.abs(picture.astype(int) - color).max(-1) for name, color in BACKGROUNDS.items()}
    background = min(off, key=lambda name: float(np.minimum(off[name], FOREIGN).sum()))
    regions, _ = label(off[background] > FOREIGN, np.ones((3, 3)))
    found = find_objects(regions)
    boxes = [
        (columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        for number, (rows, columns) in enumerate(found)
        if (regions[rows, columns] == number + 1).sum() >= SMALLEST
    ]
    if not boxes:
        return {"background": background, "objects": []}
    classes = named(probe, np.stack([crop(picture, box, CROP) for box in boxes])).tolist()
    objects = [
        {name: list(values)[number] for (name, values), number in zip(WORDS.items(), row, strict=True)} | {"box": box}
        for row, box in zip(classes, boxes, strict=True)
    ]
    return {"background": background, "objects": objects}


def graph_of(detections: Sequence[Detection]) -> Graph:
    """The scene graph that detections of this detector tell.

    >>> ring, ground = ("large red plain ring", (1, 2, 5, 6)), ("mint background", (0, 0, 64, 64))
    >>> graph_of([Detection(label, 1.0, box) for label, box in (ring, ground)])
    {'background': 'mint', 'objects': [{'size': 'large', 'color': 'red', 'texture': 'plain', 'shape': 'ring', \
'box': (1, 2, 4, 4)}]}
    """
    graph: Graph = {"background": None, "objects": []}
    for one in detections:
        words, (left, top, right, bottom) = one.label.split(), one.box
        if words[-1] == GROUND:
            graph["background"] = words[0]
        else:
            box = (left, top, right - left, bottom - top)
            graph["objects"].append({**dict(zip(FULL, words, strict=True)), "box": box})
    return graph


class Scenes:
    """Finds shapes by their names, such as "star", and the ground by "background".

    A label says all attributes, in the grammar's order: "large red plain ring", "mint background". It knows the
    pictures of the world ``scenes``, and no others.
    """

    VERSION: ClassVar[int] = 1

    class Settings(roles.Settings):
        """``checkpoint``: the pocket probe's folder."""

        checkpoint: str

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        return identify(self.settings.checkpoint)

    def load(self) -> None:
        from models.pocket.probe import load

        self._probe = load(Path(self.settings.checkpoint))

    def detect(self, pictures: Sequence[np.ndarray], names: Sequence[Sequence[str]]) -> list[list[Detection]]:
        return [self._found(picture, wanted) for picture, wanted in zip(pictures, names, strict=True)]

    def _found(self, picture: np.ndarray, names: Sequence[str]) -> list[Detection]:
        if picture.shape != (64, 64, 3):
            raise ValueError(
                f"scenes are of 64 x 64 pixels, and this picture is {picture.shape[1]} x {picture.shape[0]}"
            )
        graph = seen(picture, self._probe)
        found = [
            Detection(" ".join(thing[name] for name in FULL), 1.0, (x, y, x + w, y + h))
            for thing in graph["objects"] if thing["shape"] in names
            for x, y, w, h in [thing["box"]]
        ]  # fmt: skip
        return found + [Detection(f"{graph['background']} {GROUND}", 1.0, (0, 0, 64, 64))] * (GROUND in names)
