"""The ``referring`` world: three to five alike shapes, and three expressions that each single out one of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.worlds import Example
from models.worlds.expressions import expressions
from models.worlds.grammar import WORDS, relation
from models.worlds.scenes import BACKGROUNDS, draw, layout

WORLD_VERSION = 1
"""Raised when the same (seed, index) gives another picture or other expressions."""

COUNTS = {3: 0.35, 4: 0.4, 5: 0.25}
"""Shares of pictures with so many objects."""

KINDS = {"shape": 2, "color": 3, "texture": 2}
"""How many values of an attribute one picture draws from: with two shapes among three objects, two are of one shape."""

LARGE = 0.4
"""Share of large objects among those to be laid out; five of them never fit."""


def referring(seed: int, index: int) -> Example:
    """Picture ``index`` of the world ``seed``: equal arguments give equal bytes on every call and machine.

    ``graph`` is that of a scene and ``"target"``, the index of an object that shares its shape with another one. Each
    of the three references is about the target alone: :func:`models.worlds.expressions.resolve` reads it back.

    >>> made = referring(7, 0)
    >>> made.picture.shape, len(made.references), 3 <= len(made.graph["objects"]) <= 5
    ((64, 64, 3), 3, True)
    """
    rng = np.random.default_rng([seed, index])
    background = str(rng.choice(list(BACKGROUNDS)))
    count = int(rng.choice(list(COUNTS), p=list(COUNTS.values())))
    said = None
    while said is None:
        objects = layout(rng, _alike(rng, count))
        if objects is None:
            continue
        graph: dict[str, Any] = {"background": background, "objects": objects}
        shapes = [thing["shape"] for thing in objects]
        graph["target"] = int(rng.choice([i for i, shape in enumerate(shapes) if shapes.count(shape) > 1]))
        said = expressions(graph, rng)
    graph["relations"] = [
        {"subject": i, "predicate": relation(graph, i, j), "object": j}
        for i in range(count) for j in range(i + 1, count)
    ]  # fmt: skip
    return Example(draw(graph), graph, said)


def _alike(rng: np.random.Generator, count: int) -> list[dict[str, str]]:
    """The attributes of ``count`` objects, of which several are shared."""
    kinds = {name: rng.choice(list(WORDS[name]), few, replace=False) for name, few in KINDS.items()}
    return [
        {name: str(rng.choice(values)) for name, values in kinds.items()}
        | {"size": "large" if rng.random() < LARGE else "small"}
        for _ in range(count)
    ]
