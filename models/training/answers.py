"""Quality of captioners' descriptions, by the worlds' own accounts of the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from models.worlds import expressions, grammar, radiographs, spectrograms, trends


def said_right(world: str, texts: Sequence[str], graphs: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Means over the captions of one world: what the world's parser finds in them, against the truth;
    what no caption speaks of has no mean.

    >>> said_right("spectrograms", ["wind", "a bell sound"], [{"kind": "wind"}, {"kind": "drum"}])["kind"]
    0.5
    """
    return {name: float(np.mean(values)) for name, values in _scores(world, texts, graphs).items() if values}


def _scores(world: str, texts: Sequence[str], graphs: Sequence[dict[str, Any]]) -> dict[str, list[float]]:
    pairs = list(zip(texts, graphs, strict=True))
    if world == "scenes":
        each = [grammar.agreement(grammar.parse(text), graph) for text, graph in pairs]
        told = [relations(text, graph) for text, graph in pairs]
        found = {name: [one[name] for one in each] for name in each[0]}
        return found | {
            "relations": [right for one in told for right in one["said"]],
            "relations told": [share for one in told for share in one["told"]],
        }
    if world == "referring":
        return {"singled out": [float(expressions.resolve(text, graph) == [graph["target"]]) for text, graph in pairs]}
    if world == "series":
        return {"claims": [trends.agreement(trends.parse(text), graph["facts"]) for text, graph in pairs]}
    module = {"radiographs": radiographs, "spectrograms": spectrograms}[world]
    each = [module.agreement(module.parse(text), graph) for text, graph in pairs]
    return {name: [one[name] for one in each] for name in each[0]}


def relations(text: str, graph: dict[str, Any]) -> dict[str, list[float]]:
    """Whether each relation that a caption states holds between objects of those shapes and colours (``said``), and
    for each neighbouring pair of objects whether a relation of the two is stated (``told``).

    >>> a, b = ({"shape": s, "color": "red", "box": [x, 0, 9, 9]} for s, x in (("ring", 0), ("star", 30)))
    >>> relations("a red ring to the left of a red star", {"objects": [a, b]})
    {'said': [1.0], 'told': [1.0]}
    >>> relations("a red ring above a red star", {"objects": [a, b]})
    {'said': [0.0], 'told': [0.0]}
    """
    found = grammar.parse(text)
    objects, said, pairs = graph["objects"], [], set()

    def meant(thing: dict[str, Any]) -> list[int]:
        return [k for k, one in enumerate(objects) if all(one[name] == thing.get(name) for name in ("shape", "color"))]

    for one in found["relations"]:
        subjects, others = meant(found["objects"][one["subject"]]), meant(found["objects"][one["object"]])
        right = [{i, j} for i in subjects for j in others
                 if i != j and grammar.relation(graph, i, j) == one["predicate"]]  # fmt: skip
        said.append(float(bool(right)))
        pairs |= {tuple(sorted(pair)) for pair in right}
    return {"said": said, "told": [float((k, k + 1) in pairs) for k in range(len(objects) - 1)]}
