"""Quality of painted scenes: how much of what a description says the probe finds in its painting."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from itertools import permutations

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy.ndimage import find_objects, label
from torch import nn

from models.training.descriptions import Description
from models.training.probe import CROP, crop, named
from models.worlds.grammar import WORDS, Graph, relation
from models.worlds.scenes import BACKGROUNDS

FOREIGN = 40
"""By how many levels in some channel a pixel must differ from the ground to be part of an object."""
SMALLEST = 40
"""Pixels of an object, at least: a small cross has 80."""

Paint = Callable[[Sequence[str]], list[np.ndarray]]


def seen(picture: np.ndarray, probe: nn.Module) -> Graph:
    """The scene graph of a picture (64, 64, 3) uint8: the ground that most pixels are near to, and each connected
    region that differs from it, as the probe names it."""
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


def kept(said: Graph, painted: Graph) -> dict[str, list[bool]]:
    """Which named attributes and relations a painted graph has, and the ground.

    Objects are paired so that most of the attributes agree, and then most of the relations. An object that was not
    painted has none of what was said of it.

    >>> box = {"box": (0, 0, 9, 9)}
    >>> said = {"objects": [{"color": "red", "shape": "ring"}], "relations": [], "background": None}
    >>> kept(said, {"objects": [{"color": "red", "shape": "star"} | box], "background": "sky"})["attributes"]
    [True, False]
    """
    wanted, there = said["objects"], [*painted["objects"], *[{}] * len(said["objects"])]

    def hits(order: Sequence[int]) -> tuple[list[bool], list[bool]]:
        things = [there[k] for k in order]
        attributes = [thing.get(name) == value
                      for thing, one in zip(things, wanted, strict=True) for name, value in one.items()]  # fmt: skip
        relations = [
            bool(things[one["subject"]] and things[one["object"]])
            and relation({"objects": things}, one["subject"], one["object"]) == one["predicate"]
            for one in said["relations"]
        ]
        return attributes, relations

    attributes, relations = max(
        map(hits, permutations(range(len(there)), len(wanted))), key=lambda found: (sum(found[0]), sum(found[1]))
    )
    ground = [painted["background"] == said["background"]] if said["background"] else []
    return {"attributes": attributes, "relations": relations, "background": ground}


@torch.no_grad()
def judge(paint: Paint, descriptions: Sequence[Description], probe: nn.Module) -> dict[str, float]:
    """Shares of what descriptions say that their paintings show: of attributes (also for one, two and three objects),
    relations and grounds."""
    found: dict[str, list[bool]] = {}
    pictures = paint([one.text for one in descriptions])
    for one, picture in zip(descriptions, pictures, strict=True):
        hits = kept(one.said, seen(picture, probe))
        hits[f"attributes of {len(one.said['objects'])}"] = hits["attributes"]
        names = [name for thing in one.said["objects"] for name in thing]
        for name, hit in zip(names, hits["attributes"], strict=True):
            hits.setdefault(name, []).append(hit)
        for name, some in hits.items():
            found.setdefault(name, []).extend(some)
    return {name: float(np.mean(some)) for name, some in sorted(found.items())}


def sheet(pictures: Sequence[np.ndarray], texts: Sequence[str], columns: int = 4) -> Image.Image:
    """Paintings, each above what it is of."""
    width, height, side = 300, 200, 128
    rows = -(-len(pictures) // columns)
    whole = Image.new("RGB", (columns * width, rows * height), "white")
    draw = ImageDraw.Draw(whole)
    for k, (picture, text) in enumerate(zip(pictures, texts, strict=True)):
        x, y = k % columns * width, k // columns * height
        whole.paste(Image.fromarray(picture).resize((side, side), Image.Resampling.NEAREST), (x + 4, y + 4))
        draw.multiline_text((x + 4, y + side + 8), textwrap.fill(text, 46), fill="black")
    return whole
