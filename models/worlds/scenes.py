"""The ``scenes`` world: one to three shapes on a ground, 64 x 64, with an exact scene graph and five captions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from models.worlds import Example
from models.worlds.grammar import WORDS, references, relation

WORLD_VERSION = 1
"""Raised when the same (seed, index) gives another scene."""

SIDE = 64
COLORS = {
    "red": (214, 38, 40),
    "orange": (250, 140, 20),
    "yellow": (246, 214, 30),
    "green": (44, 156, 62),
    "blue": (42, 84, 220),
    "purple": (142, 56, 184),
    "pink": (244, 128, 190),
    "brown": (136, 84, 44),
}
BACKGROUNDS = {
    "white": (246, 246, 242),
    "gray": (152, 152, 156),
    "black": (26, 26, 30),
    "sand": (228, 208, 164),
    "sky": (168, 212, 242),
    "mint": (180, 230, 194),
}
SIZES = {"small": (14, 17), "large": (24, 30)}
"""Smallest and largest side of the box, in pixels."""

SHADE = 0.42
"""A texture's second tone is its colour times this."""

COUNTS = (0.3, 0.4, 0.3)
"""Shares of scenes with one, two and three objects."""

CENTRAL = 0.9
"""Share of scenes in which one object is placed with its centre in the middle third of the picture."""

GAP = 2
FINE = 4
"""Supersampling."""


def scene(seed: int, index: int) -> Example:
    """Scene ``index`` of the world ``seed``: equal arguments give equal bytes on every call and machine.

    ``graph`` is ``{"background", "objects": [{"label", "shape", "color", "texture", "size", "box": [x, y, w, h]}],
    "relations": [{"subject", "predicate", "object"}]}``; objects are sorted from left to right, boxes are tight, whole
    pixels, inside the picture and at least two pixels apart; every pair has one relation, that of the lower index.

    >>> made = scene(7, 0)
    >>> made.picture.shape, len(made.references), made.graph["objects"][0]["label"] in WORDS["shape"]
    ((64, 64, 3), 5, True)
    """
    rng = np.random.default_rng([seed, index])
    graph = arranged(rng)
    return Example(draw(graph), graph, references(graph, rng))


def arranged(rng: np.random.Generator) -> dict[str, Any]:
    """The graph of a scene drawn at random."""
    background = str(rng.choice(list(BACKGROUNDS)))
    count = 1 + int(rng.choice(3, p=COUNTS))
    objects = None
    while objects is None:
        objects = layout(rng, (attributes(rng) for _ in range(count)))
    graph: dict[str, Any] = {"background": background, "objects": objects}
    graph["relations"] = [
        {"subject": i, "predicate": relation(graph, i, j), "object": j}
        for i in range(count) for j in range(i + 1, count)
    ]  # fmt: skip
    return graph


def attributes(rng: np.random.Generator) -> dict[str, str]:
    """A shape, a colour, a texture and a size, each as likely as any other."""
    return {name: str(rng.choice(list(WORDS[name]))) for name in ("shape", "color", "texture", "size")}


def layout(rng: np.random.Generator, things: Iterable[dict[str, str]]) -> list[dict[str, Any]] | None:
    """Objects with these attributes and boxes that keep their distance, from left to right; None where one does not
    fit. The first may be placed in the centre (``CENTRAL``)."""
    objects: list[dict[str, Any]] = []
    for place, chosen in enumerate(things):
        side = int(rng.integers(*SIZES[chosen["size"]], endpoint=True))
        central = place == 0 and rng.random() < CENTRAL
        low, high = (22, 42) if central else (side / 2 + 1, SIDE - side / 2 - 1)
        for _ in range(30):
            x, y = (int(v) for v in np.floor(rng.uniform(low, high, 2) - side / 2))
            box = [min(max(x, 1), SIDE - side - 1), min(max(y, 1), SIDE - side - 1), side, side]
            if all(_apart(box, other["box"]) for other in objects):
                objects.append({"label": chosen["shape"], **chosen, "box": box})
                break
        else:
            return None
    return sorted(objects, key=lambda thing: (2 * thing["box"][0] + thing["box"][2], thing["box"][1]))


def _apart(box: list[int], other: list[int]) -> bool:
    return any(
        box[axis] + box[2 + axis] + GAP <= other[axis] or other[axis] + other[2 + axis] + GAP <= box[axis]
        for axis in (0, 1)
    )


def draw(graph: dict[str, Any]) -> np.ndarray:
    """Paint a graph: (64, 64, 3) uint8, antialiased."""
    picture = Image.new("RGB", (SIDE, SIDE), BACKGROUNDS[graph["background"]])
    for thing in graph["objects"]:
        x, y, side, _ = thing["box"]
        color = COLORS[thing["color"]]
        outline, dark = _stencils(thing["shape"], thing["texture"], side)
        picture.paste(color, (x, y), outline)
        picture.paste(tuple(round(SHADE * level) for level in color), (x, y), dark)
    return np.asarray(picture)


@lru_cache(1024)
def _stencils(shape: str, texture: str, side: int) -> tuple[Image.Image, Image.Image]:
    """Where an object's colour goes, and where its second tone."""
    outline = _outline(shape, side * FINE)
    return outline.reduce(FINE), ImageChops.multiply(outline, _pattern(texture, side * FINE)).reduce(FINE)


def _outline(shape: str, side: int) -> Image.Image:
    """White where the shape is, black elsewhere; it touches all four sides."""
    mask = Image.new("L", (side, side))
    pen, end = ImageDraw.Draw(mask), side - 1
    if shape in ("circle", "ring"):
        pen.ellipse((0, 0, end, end), fill=255)
        if shape == "ring":
            inner = 0.29 * side
            pen.ellipse((inner, inner, end - inner, end - inner), fill=0)
    elif shape == "square":
        pen.rectangle((0, 0, end, end), fill=255)
    elif shape == "triangle":
        pen.polygon([(end / 2, 0), (end, end), (0, end)], fill=255)
    elif shape == "cross":
        arm = 0.33 * side
        pen.rectangle((arm, 0, end - arm, end), fill=255)
        pen.rectangle((0, arm, end, end - arm), fill=255)
    else:
        angles = np.arange(10) * math.pi / 5 - math.pi / 2
        points = np.stack([np.cos(angles), np.sin(angles)], 1) * np.where(np.arange(10) % 2, 0.42, 1)[:, None]
        points = (points - points.min(0)) / np.ptp(points, axis=0) * end
        pen.polygon([tuple(point) for point in points], fill=255)
    return mask


def _pattern(texture: str, side: int) -> Image.Image:
    """White where the second tone goes: diagonal stripes 3.5 pixels wide, or dots of 3.6 pixels every 6."""
    y, x = np.mgrid[:side, :side] / FINE
    if texture == "striped":
        marks = (x + y) % 10 >= 5
    elif texture == "dotted":
        middle = side / FINE / 2
        marks = np.hypot((x - middle + 3) % 6 - 3, (y - middle + 3) % 6 - 3) < 1.8
    else:
        marks = np.zeros((side, side), bool)
    return Image.fromarray(marks.astype(np.uint8) * 255)
