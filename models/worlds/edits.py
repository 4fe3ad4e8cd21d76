"""True and false sentences about scenes, of which captions of a known precision and recall are made.

A scene is told in parts: its main object, the ground, and one sub-caption for every other object with its place. Each
part can be made false by one exact edit of the scene graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from models.worlds.grammar import BACKGROUNDS, BESIDE, FULL, WORDS, Graph, a, relation

EDITS = ("object", "color", "texture", "shape", "size", "relation", "background")
"""What an edit makes wrong. *object*: one of a kind and a colour that the picture does not show in place of one that it
shows; *relation*: another place of an object; the others another value."""

VERSION = 1
"""Raised when equal scenes and seeds give other sentences."""


class Sentence(NamedTuple):
    """A sentence and what it says: the family of each fact (object, attribute, relation), and whether it is true."""

    text: str
    facts: tuple[tuple[str, bool], ...]


class Part(NamedTuple):
    """What is told of a part of a scene: a true sentence, and by the edit that makes it one a false sentence each."""

    true: Sentence
    false: dict[str, Sentence]


def parts(graph: Graph, rng: np.random.Generator) -> list[Part]:
    """The main object, the ground, and the other objects with their places, from the largest to the smallest.

    Together the true sentences say of every object all its attributes. Those of one scene can be joined as one likes,
    true or false, the first one first: :func:`models.worlds.grammar.parse` reads each of them as it stands alone. A
    false sentence agrees with nothing in the picture, and most with the object that it is about. What no edit can make
    so (a size, where another object differs in nothing else) is not among the false ones.

    >>> from models.worlds import example
    >>> told = parts(example("scenes", 1, 3).graph, np.random.default_rng(0))
    >>> [part.true.text for part in told]
    ['a big violet stripy circle.', 'it is on a black backdrop.']
    >>> told[1].false["background"].facts
    (('attribute', False),)
    """
    objects = graph["objects"]
    main, *others = sorted(range(len(objects)), key=lambda k: -objects[k]["box"][2] * objects[k]["box"][3])
    return [_about(graph, main, main, rng), _ground(graph, rng), *(_about(graph, k, main, rng) for k in others)]


def _ground(graph: Graph, rng: np.random.Generator) -> Part:
    true, noun = graph["background"], _pick(rng, ("background", "backdrop"))
    false = _pick(rng, [one for one in BACKGROUNDS if one != true])
    told, edited = (Sentence(f"it is on a {one} {noun}.", (("attribute", one == true),)) for one in (true, false))
    return Part(told, {"background": edited})


def _about(graph: Graph, k: int, main: int, rng: np.random.Generator) -> Part:
    """An object, and where it lies from the main one unless it is that."""
    objects = graph["objects"]
    own, beside = objects[k], relation(graph, k, main) if k != main else ""
    words = {name: _pick(rng, WORDS[name][own[name]]) for name in FULL}
    place = _pick(rng, BESIDE[beside]) if beside else ""

    def told(words: dict[str, str], place: str, edit: str = "") -> Sentence:
        noun = a(" ".join(words.values()))
        facts = [("attribute" if name != "shape" else "object", edit not in (name, "object")) for name in words]
        if place:
            return Sentence(f"there is {noun} {place}.", (*facts, ("relation", edit not in ("relation", "object"))))
        return Sentence(f"{noun}.", tuple(facts))

    false = {}
    if beside:  # of the main object something must be left for the places to be about
        drawn = {name: _pick(rng, _absent(objects, name)) for name in ("color", "shape")}
        false["object"] = told({name: _pick(rng, WORDS[name][value]) for name, value in drawn.items()}, place, "object")
    for name in FULL:
        if values := [value for value in WORDS[name] if _tells(objects, own, {name: value})]:
            word = _pick(rng, WORDS[name][_pick(rng, values)])
            false[name] = told(words | {name: word}, place, name)
    if beside and not any(_same(objects[i], one) for i in (k, main) for one in objects if one is not objects[i]):
        other = _pick(rng, [one for one in BESIDE if one != beside])
        false["relation"] = told(words, _pick(rng, BESIDE[other]), "relation")
    return Part(told(words, place), {edit: false[edit] for edit in EDITS if edit in false})


def _absent(objects: Sequence[Graph], name: str) -> list[str]:
    return [value for value in WORDS[name] if all(thing[name] != value for thing in objects)]


def _tells(objects: Sequence[Graph], own: Graph, edit: dict[str, str]) -> bool:
    """Whether an object, edited, is another than before and yet nearer to itself than to any that differs from it."""
    edited = own | edit
    agreements = [_agreement(edited, thing) for thing in objects if not _same(thing, own)]
    return edited != own and all(one < _agreement(edited, own) for one in agreements)


def _agreement(one: Graph, other: Graph) -> int:
    return sum(one[name] == other[name] for name in FULL)


def _same(one: Graph, other: Graph) -> bool:
    return _agreement(one, other) == len(FULL)


def _pick(rng: np.random.Generator, options: Sequence[Any]) -> Any:
    return options[int(rng.integers(len(options)))]
