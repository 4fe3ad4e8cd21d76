"""How many faults of a caption a revision mends, and what it breaks."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from models.training.drafts import NAMED, Case
from models.worlds.grammar import FULL, OPPOSITE, Graph, parse, relation


def mended(text: str, graph: Graph, one: Case) -> tuple[dict[str, list[bool]], list[bool]]:
    """Whether each fault of a caption is mended in ``text``, by kind, and whether each fact that was right still is.

    Objects are paired so that most attributes agree; a missing object is found if its colour and shape are named, and
    an invented one is gone if as many objects are named as there are.

    >>> from models.training.drafts import case
    >>> ring = {"size": "small", "color": "red", "texture": "plain", "shape": "ring", "box": [8, 9, 14, 14]}
    >>> graph = {"background": "sky", "objects": [ring]}
    >>> one = case(graph, np.random.default_rng(2), 1)
    >>> str(one.first), mended(str(one.first), graph, one)[0], mended(str(one.right), graph, one)[0]
    ('there is a small orange solid ring on a sky background', {'color': [False]}, {'color': [True]})
    """
    found, objects = parse(text), graph["objects"]
    said = found["objects"]
    match: dict[int, int] = {}
    if said:
        table = [[sum(thing.get(name) == true[name] for name in FULL) for true in objects] for thing in said]
        match = {int(j): int(i) for i, j in zip(*linear_sum_assignment(np.array(table), maximize=True), strict=True)}

    def right(k: int, name: str) -> bool:
        return k in match and said[match[k]].get(name) == objects[k][name]

    faults: dict[str, list[bool]] = {}
    facts: list[bool] = []
    for k in one.kept:
        for name in NAMED[one.first.form]:
            if (k, name) in one.mistaken:
                faults.setdefault(name, []).append(right(k, name))
            else:
                facts.append(right(k, name))
    for k in one.gone:
        faults.setdefault("missing", []).append(right(k, "shape") and right(k, "color"))
    stated = {(r["subject"], r["object"]): r["predicate"] for r in found["relations"]}
    for (i, j), true in one.stated.items():
        pair = match.get(i), match.get(j)
        predicate = stated.get(pair) or OPPOSITE.get(stated.get(pair[::-1], ""))
        holds = predicate == relation(graph, i, j)
        if true:
            facts.append(holds)
        else:
            faults.setdefault("relation", []).append(holds)
    for kind, holds in (
        ("invented", len(said) <= len(objects)),
        ("background", found["background"] == graph["background"]),
    ):
        if kind in one.faults:
            faults.setdefault(kind, []).append(holds)
        else:
            facts.append(holds)
    return faults, facts
