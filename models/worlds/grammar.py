"""The language of the ``scenes`` world: five wordings of a scene graph, and the parser that reads them back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

Graph = dict[str, Any]

FULL = ("size", "color", "texture", "shape")
"""The attributes of an object, in the order in which a noun phrase names them."""

WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "shape": {
        "circle": ("circle", "disc"),
        "square": ("square", "block"),
        "triangle": ("triangle",),
        "star": ("star",),
        "cross": ("cross", "plus"),
        "ring": ("ring", "hoop"),
    },
    "color": {
        "red": ("red",),
        "orange": ("orange",),
        "yellow": ("yellow",),
        "green": ("green",),
        "blue": ("blue",),
        "purple": ("purple", "violet"),
        "pink": ("pink",),
        "brown": ("brown",),
    },
    "texture": {"plain": ("plain", "solid"), "striped": ("striped", "stripy"), "dotted": ("dotted", "spotted")},
    "size": {"small": ("small", "little"), "large": ("large", "big")},
}
"""Attribute -> value -> its words, the value's own name first."""

BACKGROUNDS = ("white", "gray", "black", "sand", "sky", "mint")

OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}

BETWEEN = {
    "left of": ("to the left of", "left of", "on the left side of"),
    "right of": ("to the right of", "right of", "on the right side of"),
    "above": ("above", "over"),
    "below": ("below", "under"),
}
BESIDE = {
    "left of": ("to its left", "on its left side"),
    "right of": ("to its right", "on its right side"),
    "above": ("above it", "over it"),
    "below": ("below it", "under it"),
}
_GROUND = ("background", "backdrop")
_COUNT = ("", "one shape", "two shapes", "three shapes")

MEANING = {
    word: (attribute, value) for attribute, values in WORDS.items() for value, words in values.items() for word in words
}
_PREDICATES = sorted(
    ((phrase, predicate, backwards)
     for table, backwards in ((BETWEEN, False), (BESIDE, True))
     for predicate, phrases in table.items()
     for phrase in phrases),
    key=lambda entry: -len(entry[0]),
)  # fmt: skip


def relation(graph: Graph, subject: int, other: int) -> str:
    """Relation of ``subject`` to ``other``, on the axis on which their boxes' centres differ most; ties are sideways.

    >>> relation({"objects": [{"box": [0, 0, 4, 4]}, {"box": [10, 2, 4, 4]}]}, 0, 1)
    'left of'
    """
    (x, y, w, h), (u, v, s, t) = (graph["objects"][index]["box"] for index in (subject, other))
    across, down = (2 * x + w) - (2 * u + s), (2 * y + h) - (2 * v + t)
    if abs(across) >= abs(down):
        return "left of" if across < 0 else "right of"
    return "above" if down < 0 else "below"


def a(noun: str) -> str:
    """A noun with its article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def references(graph: Graph, rng: np.random.Generator) -> list[str]:
    """Five wordings of one graph, differing in words, order and in what they leave out.

    The first names every object and the background; the second and the last do too, the second with relations and the
    last with a count; the third leaves sizes out, the fourth textures.
    """

    def pick(options: Sequence[str]) -> str:
        return options[int(rng.integers(len(options)))]

    def noun(index: int, *attributes: str) -> str:
        words = [pick(WORDS[name][graph["objects"][index][name]]) for name in (*attributes, "shape")]
        return a(" ".join(words))

    def listing(order: Sequence[int], *attributes: str) -> str:
        *first, last = [noun(index, *attributes) for index in order]
        return f"{', '.join(first)} and {last}" if first else last

    order = range(len(graph["objects"]))
    ground, full = graph["background"], FULL[:-1]
    chain = noun(0, *full)
    for index in order[1:]:
        link = pick(BETWEEN[relation(graph, index - 1, index)])
        chain += f"{', which is' if index > 1 else ''} {link} {noun(index, *full)}"
    anchor = int(rng.integers(len(order)))
    beside = [
        f"{noun(index, 'size', 'color')} {pick(BESIDE[relation(graph, index, anchor)])}"
        for index in order if index != anchor
    ]  # fmt: skip
    verb = "is" if len(order) == 1 else "are"
    return [
        f"{listing(order, *full)} on a {ground} background",
        f"{chain}, on a {ground} {pick(_GROUND)}" if order[1:] else f"there is {chain} on a {ground} {pick(_GROUND)}",
        f"on a {ground} {pick(_GROUND)} there {verb} {listing(order[::-1], 'color', 'texture')}",
        " ".join([noun(anchor, "size", "color"), *(["with", " and ".join(beside)] if beside else [])])
        + f" against a {ground} {pick(_GROUND)}",
        f"{_COUNT[len(order)]} on {ground}: {listing(rng.permutation(len(order)).tolist(), *full)}",
    ]


def parse(caption: str) -> Graph:
    """The objects (with the attributes named), relations and background that a caption speaks of.

    Reads every reference of the world and, from any other text, whatever it can; ``background`` is None where none is
    named. A phrase without a shape is no object.

    >>> found = parse("a big red striped disc to the left of a plain star on a sky backdrop")
    >>> found["objects"][0] == {"size": "large", "color": "red", "texture": "striped", "shape": "circle"}
    True
    >>> found["relations"], found["background"]
    ([{'subject': 0, 'predicate': 'left of', 'object': 1}], 'sky')
    """
    text = re.sub(r"[^a-z ]+", " ", caption.lower())
    ground = re.search(rf"\b(?:on|against)(?: an?)? ({'|'.join(BACKGROUNDS)})\b", text)
    objects: list[dict[str, str]] = []
    relations: list[dict[str, Any]] = []
    named: dict[str, str] = {}
    waiting: tuple[int, str] | None = None
    while text:
        phrase, predicate, backwards = next(
            (entry for entry in _PREDICATES if re.match(rf"{entry[0]}\b", text)), ("", "", False)
        )
        if phrase and objects and backwards:
            relations.append({"subject": len(objects) - 1, "predicate": predicate, "object": 0})
        elif phrase and objects:
            waiting = (len(objects) - 1, predicate)
        word, _, rest = text.partition(" ")
        if word in MEANING and not phrase:
            attribute, value = MEANING[word]
            named[attribute] = value
            if attribute == "shape":
                objects.append(named)
                named = {}
                if waiting:
                    relations.append({"subject": waiting[0], "predicate": waiting[1], "object": len(objects) - 1})
                    waiting = None
        text = text[len(phrase) :].lstrip() if phrase else rest.lstrip()
    return {"objects": objects, "relations": relations, "background": ground[1] if ground else None}


def agreement(found: Graph, graph: Graph) -> dict[str, float]:
    """Share of ``graph`` that a parsed caption says, in [0, 1]: objects are paired so that most attributes agree.

    ``attributes`` is the share of the true objects' attributes said rightly (recall), ``shape`` … ``size`` the same for
    one attribute, ``precision`` the share of the said attributes that are right, ``background`` and ``exact`` 0 or 1.

    >>> truth = {"background": "sky", "objects": [dict(shape="ring", color="red", texture="plain", size="small")]}
    >>> agreement(parse("a red ring and a small star"), truth)["attributes"]
    0.5
    """
    from scipy.optimize import linear_sum_assignment

    table = np.array([
        [sum(said.get(name) == true[name] for name in WORDS) for true in graph["objects"]] for said in found["objects"]
    ])  # fmt: skip
    pairs = linear_sum_assignment(table, maximize=True) if found["objects"] else ((), ())
    matched = [(found["objects"][i], graph["objects"][j]) for i, j in zip(*pairs, strict=True)]
    total, said = len(graph["objects"]), sum(len(thing) for thing in found["objects"])
    each = {name: sum(a.get(name) == b[name] for a, b in matched) / total for name in WORDS}
    hits = sum(each.values()) * total
    background = float(found["background"] == graph["background"])
    exact = float(hits == 4 * total and len(found["objects"]) == total and background)
    return {"attributes": hits / (4 * total), "precision": hits / said if said else 0.0, **each,
            "background": background, "exact": exact}  # fmt: skip
