"""The language of the ``referring`` world: expressions that single out one object, and the resolver that reads them.

An expression is a noun phrase ("the small red disc"), perhaps with a place ("on the left"), an extreme ("leftmost",
"the larger") or a relation to an object that a second noun phrase singles out ("left of the green star").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from models.worlds.grammar import BETWEEN, MEANING, WORDS, Graph, relation

SIDE = 64
MARGIN = 4
"""Pixels by which an expression of the world has to hold: places, sizes and distances that differ by less are left
unsaid, for nobody sees them at a glance."""

EDGE = 0.42
"""Share of the picture that is its left, its right, its top or its bottom."""

ANY_SHAPE = ("shape", "object")

_EXTREMES = {
    "leftmost": ("leftmost", "on the far left", "furthest to the left"),
    "rightmost": ("rightmost", "on the far right", "furthest to the right"),
    "topmost": ("topmost", "highest", "at the very top"),
    "lowest": ("lowest", "at the very bottom"),
    "largest": ("largest", "biggest"),
    "smallest": ("smallest",),
    "larger": ("larger", "bigger"),
    "smaller": ("smaller",),
}
_PLACES = {
    "left": ("on the left",),
    "right": ("on the right",),
    "top": ("at the top",),
    "bottom": ("at the bottom",),
    "top left": ("in the top left corner", "in the upper left"),
    "top right": ("in the top right corner", "in the upper right"),
    "bottom left": ("in the bottom left corner", "in the lower left"),
    "bottom right": ("in the bottom right corner", "in the lower right"),
    "middle": ("in the middle", "in the center"),
}
_COMPARATIVE = ("larger", "smaller")


def _phrases(table: dict[str, tuple[str, ...]]) -> list[tuple[re.Pattern[str], str]]:
    """The phrases of a table, the longest first, with what they mean."""
    pairs = [(phrase, meaning) for meaning, phrases in table.items() for phrase in phrases]
    pairs.sort(key=lambda pair: -len(pair[0]))
    return [(re.compile(rf"\b{phrase}\b"), meaning) for phrase, meaning in pairs]


_BETWEEN_PHRASES, _EXTREME_PHRASES, _PLACE_PHRASES = map(_phrases, (BETWEEN, _EXTREMES, _PLACES))


def resolve(expression: str, graph: Mapping[str, Any], margin: float = 0.0) -> list[int]:
    """The objects of ``graph`` that an expression applies to, in their order; none where it makes no sense.

    Left and right, above and below compare the centres of boxes, larger and smaller their sides. "On the left" is the
    left ``EDGE`` of the picture, a corner is left and top of that, the middle a third. A comparative chooses from two,
    a superlative from any number. A relation applies where its second phrase is about one object. ``margin`` in pixels:
    a positive one is generous to objects that miss a place, an extreme or a relation by less, a negative one asks for
    that much more.

    >>> boxes = {"circle": [2, 20, 14, 14], "star": [30, 22, 14, 14], "ring": [50, 20, 12, 12]}
    >>> things = [{"shape": shape, "color": "red", "size": "small", "box": box} for shape, box in boxes.items()]
    >>> resolve("the red disc to the left of the star", {"objects": things})
    [0]
    >>> resolve("the rightmost red shape", {"objects": things}), resolve("a red shape", {"objects": things})
    ([2], [0, 1, 2])
    """
    text = " ".join(re.sub(r"[^a-z ]+", " ", expression.lower()).split())
    phrase, parts = _cut(text, _BETWEEN_PHRASES)
    head, anchor = parts if phrase else (" ".join(parts), "")
    extreme, parts = _cut(head, _EXTREME_PHRASES)
    place, parts = _cut(" ".join(parts), _PLACE_PHRASES)
    words = " ".join(parts).split()
    named = dict(MEANING[word] for word in words if word in MEANING)
    if "shape" not in named and not set(ANY_SHAPE) & set(words):
        return []
    objects = graph["objects"]
    found = [i for i, thing in enumerate(objects) if all(thing.get(name) == value for name, value in named.items())]
    if phrase:
        anchors = resolve(anchor, graph, margin)
        if len(anchors) != 1:
            return []
        found = [i for i in found if i != anchors[0] and _beyond(objects[i], objects[anchors[0]], phrase) > -margin]
    if place:
        found = [i for i in found if _inside(objects[i], place) >= -margin]
    if extreme:
        found = _most(found, objects, extreme, margin)
    return found


def expressions(graph: Graph, rng: np.random.Generator) -> list[str] | None:
    """Three expressions that single out ``graph["target"]``, of different kinds where there are as many.

    The kinds are attributes, relations, and extremes or places. None where there are not three different ones. Each
    is about the target alone, and remains so whatever is moved or resized by less than ``MARGIN``.
    """

    def clear(text: str) -> bool:
        return all(resolve(text, graph, margin) == [graph["target"]] for margin in (-MARGIN, 0, MARGIN))

    kinds = []
    for kind in (_by_attributes, _by_relation, _by_place):
        singled = [text for text in kind(graph, rng) if clear(text)]
        kinds.append([singled[i] for i in rng.permutation(len(singled))])
    said: list[str] = []
    while len(said) < 3 and any(kinds):
        for texts in kinds:
            if texts and len(said) < 3 and texts[-1] not in said:
                said.append(texts[-1])
            del texts[-1:]
    return said if len(said) == 3 else None


def _by_attributes(graph: Graph, rng: np.random.Generator) -> Iterator[str]:
    """Every set of attributes, a set that already did not added to in vain."""
    thing = graph["objects"][graph["target"]]
    enough: list[set[str]] = []
    for names in _subsets(("size", "color", "texture", "shape")):
        noun = _noun(thing, names, rng)
        if any(smaller <= set(names) for smaller in enough) and len(names) < 4:
            continue
        if len(resolve(noun, graph)) == 1:
            enough.append(set(names))
        yield f"{_article(noun, rng)} {noun}"


def _by_relation(graph: Graph, rng: np.random.Generator) -> Iterator[str]:
    """A short phrase for the target and how it lies from an object that a short phrase is enough for."""
    target, objects = graph["target"], graph["objects"]
    for other, thing in enumerate(objects):
        if other == target:
            continue
        predicate = relation(graph, target, other)
        anchors = [_noun(thing, (*names, "shape"), rng) for names in _subsets(("color", "texture", "size"))]
        anchor = next((noun for noun in anchors if resolve(noun, graph) == [other]), None)
        if anchor is None:
            continue
        for names in (("shape",), ("color", "shape"), ("color",), ("size", "shape"), ("texture", "shape")):
            noun, link = _noun(objects[target], names, rng), _pick(BETWEEN[predicate], rng)
            which = "that is " if rng.random() < 0.15 else ""
            yield f"{_article(noun, rng)} {noun} {which}{link} the {anchor}"


def _by_place(graph: Graph, rng: np.random.Generator) -> Iterator[str]:
    """Extremes and places among the objects of the target's shape, of its colour, or of both."""
    thing = graph["objects"][graph["target"]]
    for names in (("shape",), ("color", "shape"), ("color",)):
        noun = _noun(thing, names, rng)
        alone = resolve(noun, graph) == [graph["target"]]
        for phrase in [] if alone else [_pick(phrases, rng) for phrases in _EXTREMES.values()]:
            yield f"the {noun} {phrase}" if " " in phrase else f"the {phrase} {noun}"
        for phrase in [_pick(phrases, rng) for phrases in _PLACES.values()]:
            yield f"the {noun} {phrase}"


def _subsets(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for count in range(len(names) + 1):
        yield from combinations(names, count)


def _noun(thing: dict[str, Any], names: Sequence[str], rng: np.random.Generator) -> str:
    """The words of these attributes; "shape" where the shape is not among them."""
    words = [_pick(WORDS[name][thing[name]], rng) for name in ("size", "color", "texture", "shape") if name in names]
    return " ".join(words if "shape" in names else [*words, _pick(ANY_SHAPE, rng)])


def _article(noun: str, rng: np.random.Generator) -> str:
    return "the" if rng.random() < 0.75 else "an" if noun[0] in "aeiou" else "a"


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _cut(text: str, phrases: Sequence[tuple[re.Pattern[str], str]]) -> tuple[str, list[str]]:
    """Meaning of the first phrase of a kind in ``text``, and the text before and after it; "" and the text without."""
    matches = [(match.start(), -len(match[0]), meaning, match) for pattern, meaning in phrases
               if (match := pattern.search(text))]  # fmt: skip
    if not matches:
        return "", [text]
    _, _, meaning, match = min(matches, key=lambda found: found[:2])
    return meaning, [text[: match.start()], text[match.end() :]]


def _centre(thing: dict[str, Any]) -> tuple[float, float]:
    x, y, w, h = thing["box"]
    return x + w / 2, y + h / 2


def _beyond(thing: dict[str, Any], anchor: dict[str, Any], predicate: str) -> float:
    """Number of pixels by which the centre of ``thing`` lies to that side of the anchor's."""
    (x, y), (u, v) = _centre(thing), _centre(anchor)
    return {"left of": u - x, "right of": x - u, "above": v - y, "below": y - v}[predicate]


def _inside(thing: dict[str, Any], place: str) -> float:
    """Number of pixels that the centre of ``thing`` may move before it leaves the place; negative outside."""
    x, y = _centre(thing)
    if place == "middle":
        return SIDE / 6 - max(abs(x - SIDE / 2), abs(y - SIDE / 2))
    ways = {"left": x, "right": SIDE - x, "top": y, "bottom": SIDE - y}
    return min(EDGE * SIDE - ways[word] for word in place.split())


def _side(thing: dict[str, Any]) -> float:
    return max(thing["box"][2:])


_MEASURES: dict[str, Callable[[dict[str, Any]], float]] = {
    "leftmost": lambda thing: -_centre(thing)[0],
    "rightmost": lambda thing: _centre(thing)[0],
    "topmost": lambda thing: -_centre(thing)[1],
    "lowest": lambda thing: _centre(thing)[1],
    "largest": _side,
    "larger": _side,
    "smallest": lambda thing: -_side(thing),
    "smaller": lambda thing: -_side(thing),
}


def _most(found: list[int], objects: Sequence[dict[str, Any]], extreme: str, margin: float) -> list[int]:
    """Members of ``found`` that a superlative means, or a comparative among two only."""
    if extreme in _COMPARATIVE and len(found) != 2:
        return []
    levels = {i: _MEASURES[extreme](objects[i]) for i in found}
    return [i for i in found if all(levels[i] >= levels[j] - margin for j in found if j != i)]
