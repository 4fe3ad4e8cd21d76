"""First captions of scenes with known faults, what is right in their place, and paintings of them.

A draft keeps the words of a caption apart from its form, so that the right caption differs from the faulty one in the
faults alone. The forms are those of the ``scenes`` world, in which the pocket captioners write.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from models.worlds.grammar import BACKGROUNDS, BESIDE, BETWEEN, FULL, OPPOSITE, WORDS, Graph, a, relation
from models.worlds.scenes import GAP, SIDE, SIZES, attributes

NAMED = (FULL, FULL, ("color", "texture", "shape"), ("size", "color", "shape"), FULL)
"""Attributes that each of the five forms names."""
CHAIN, ANCHORED = 1, 3
"""The forms with relations: each object to the next, and the others to the first."""
FORMS = (0.18, 0.45, 0.1, 0.12, 0.15)
"""How often each form is drawn: captioners mostly write chains."""
KINDS = {"shape": 0.25, "color": 0.15, "texture": 0.12, "size": 0.1, "relation": 0.18, "missing": 0.1, "invented": 0.08,
         "background": 0.02}  # fmt: skip
"""Kinds of faults, and how often each is made: captioners mistake shapes and relations most."""
BORROWED = 0.35
"""How often a wrong attribute is that of another object of the scene, as captioners take one for the other."""
MOST = 3
"""Objects of a scene at most."""


class Draft(NamedTuple):
    """A caption as words: of each object in the order in which they are named, and of the relations between them."""

    form: int
    things: list[dict[str, str]]
    links: list[str]
    ground: str
    backdrop: str

    def __str__(self) -> str:
        """The caption.

        >>> ring, star = ({"size": "small", "color": "red", "texture": "plain", "shape": s} for s in ("ring", "star"))
        >>> str(Draft(1, [ring, star], ["above"], "sky", "backdrop"))
        'a small red plain ring above a small red plain star, on a sky backdrop'
        """
        nouns = [a(" ".join(thing[name] for name in NAMED[self.form])) for thing in self.things]
        where = f"a {self.ground} {self.backdrop}"
        if self.form == CHAIN:
            if not self.links:
                return f"there is {nouns[0]} on {where}"
            told = [f"{', which is' if k else ''} {link} {noun}"
                    for k, (link, noun) in enumerate(zip(self.links, nouns[1:], strict=True))]  # fmt: skip
            return f"{nouns[0]}{''.join(told)}, on {where}"
        if self.form == ANCHORED:
            beside = [f"{noun} {link}" for noun, link in zip(nouns[1:], self.links, strict=True)]
            return f"{nouns[0]}{' with ' if beside else ''}{' and '.join(beside)} against {where}"
        listed = f"{', '.join(nouns[:-1])} and {nouns[-1]}" if nouns[1:] else nouns[0]
        if self.form == 0:
            return f"{listed} on a {self.ground} background"
        if self.form == 2:
            return f"on {where} there {'are' if nouns[1:] else 'is'} {listed}"
        return f"{('one shape', 'two shapes', 'three shapes')[len(nouns) - 1]} on {self.ground}: {listed}"


class Case(NamedTuple):
    """A faulty caption of a scene.

    ``kept``: the scene's objects that it names, ``gone``: one that it does not name, ``mistaken``: the attributes
    (object, name) that are wrong, ``stated``: the pairs of the right caption whose relation the faulty one tells too,
    and whether rightly; ``faults``: kinds. ``shown``: what it says as a graph without boxes, with ``told`` relations.
    """

    first: Draft
    right: Draft
    kept: list[int]
    gone: list[int]
    mistaken: set[tuple[int, str]]
    stated: dict[tuple[int, int], bool]
    faults: list[str]
    shown: Graph


def case(graph: Graph, rng: np.random.Generator, faults: int) -> Case:
    """A caption of a scene with ``faults`` faults, or fewer where the scene does not allow as many.

    >>> from models.worlds.scenes import scene
    >>> made = case(scene(7, 0).graph, np.random.default_rng(1), 0)
    >>> str(made.first) == str(made.right), made.faults
    (True, [])
    """
    objects, form = graph["objects"], int(rng.choice(5, p=FORMS))
    wanted = [str(kind) for kind in rng.choice(list(KINDS), faults, p=list(KINDS.values()))]
    made: list[str] = []
    order = list(range(len(objects)))
    if form == 2:
        order.reverse()
    elif form == ANCHORED:
        order.insert(0, order.pop(int(rng.integers(len(order)))))
    elif form == 4:
        rng.shuffle(order)
    gone: list[int] = []
    if "missing" in wanted and "invented" not in wanted and len(order) > 1:
        gone = [order.pop(int(rng.integers(len(order))))]
        made.append("missing")
    words = {k: {name: _pick(rng, WORDS[name][objects[k][name]]) for name in FULL} for k in order}
    said: list[tuple[int | None, dict[str, str], dict[str, str]]] = [
        (k, {name: objects[k][name] for name in FULL}, dict(words[k])) for k in order
    ]
    slots = [(at, name) for at in range(len(said)) for name in NAMED[form]]
    mistaken = set()
    for kind in wanted:
        free = [(at, name) for at, name in slots if name == kind and (said[at][0], name) not in mistaken]
        if not free:
            continue
        at, name = _pick(rng, free)
        k, values, spoken = said[at]
        assert k is not None
        wrong_values = [value for value in WORDS[name] if value != objects[k][name]]
        others = [thing[name] for thing in objects if thing[name] != objects[k][name]]
        values[name] = _pick(rng, others if others and rng.random() < BORROWED else wrong_values)
        spoken[name] = _pick(rng, WORDS[name][values[name]])
        words[k][name] = objects[k][name]  # put right in the world's first word
        mistaken.add((k, name))
        made.append(kind)
    if "invented" in wanted and len(said) < MOST:
        values = attributes(rng)
        if rng.random() < 0.4:  # the same object told twice, or nearly
            values = dict(_pick(rng, said)[1]) | {(name := _pick(rng, FULL)): values[name]}
        spoken = {name: _pick(rng, WORDS[name][values[name]]) for name in FULL}
        said.insert(int(rng.integers(form == ANCHORED, len(said) + 1)), (None, values, spoken))
        made.append("invented")
    words |= {k: {name: objects[k][name] for name in FULL} for k in gone}
    names = [k for k, _, _ in said]
    joined = _pairs(form, len(said))
    wrong = [n for n, (i, j) in enumerate(joined) if names[i] is not None and names[j] is not None]
    rng.shuffle(wrong)
    wrong = wrong[: wanted.count("relation")]
    made += ["relation"] * len(wrong)
    told: dict[tuple[int | None, int | None], tuple[str, str]] = {}
    relations, links = [], []
    for n, (i, j) in enumerate(joined):
        here, there = names[i], names[j]
        known = relation(graph, here, there) if here is not None and there is not None else None
        predicate = known if known and n not in wrong else _pick(rng, [one for one in OPPOSITE if one != known])
        link = _pick(rng, (BETWEEN if form == CHAIN else BESIDE)[predicate])
        told[here, there] = predicate, link
        relations.append((i, predicate, j))
        links.append(link)
    background, backdrop = graph["background"], _pick(rng, ("background", "backdrop"))
    if "background" in wanted:
        background = _pick(rng, [one for one in BACKGROUNDS if one != background])
        made.append("background")
    first = Draft(form, [spoken for _, _, spoken in said], links, background, backdrop)
    named = [*order, *gone]
    links, stated = [], {}
    for i, j in _pairs(form, len(named)):
        pair = named[i], named[j]
        true = relation(graph, *pair)
        predicate, link = told.get(pair, ("", ""))
        if predicate:
            stated[pair] = predicate == true
        links.append(link if predicate == true else (BETWEEN if form == CHAIN else BESIDE)[true][0])
    right = Draft(form, [words[k] for k in named], links, graph["background"], backdrop)
    things = [{name: values[name] for name in NAMED[form]} for _, values, _ in said]
    return Case(first, right, order, gone, mistaken, stated, made,
                {"background": background, "objects": things, "told": relations})  # fmt: skip


def _pairs(form: int, count: int) -> list[tuple[int, int]]:
    """Places of the subject and the object of each relation that a form tells."""
    if form == CHAIN:
        return [(k - 1, k) for k in range(1, count)]
    return [(k, 0) for k in range(1, count)] if form == ANCHORED else []


def painted(shown: Graph, rng: np.random.Generator, slips: float) -> Graph:
    """A painter's scene of what a caption says: attributes that it does not name are drawn at random, and objects are
    placed so that the told relations hold. ``slips`` is how often the painter gets an attribute, the relations or the
    background wrong; it leaves out or adds an object half as often."""
    things = []
    for slot, thing in enumerate(shown["objects"]):
        drawn = attributes(rng)
        chosen = drawn | {name: value for name, value in thing.items() if rng.random() >= slips}
        things.append(chosen | {"slot": slot})
    if rng.random() < slips / 2 and len(things) > 1:
        things.pop(int(rng.integers(len(things))))
    if rng.random() < slips / 2 and len(things) < MOST:
        things.append(attributes(rng) | {"slot": -1})
    told = shown["told"] if rng.random() >= slips else ()
    ground = shown["background"] if rng.random() >= slips else _pick(rng, BACKGROUNDS)
    return {"background": ground, "objects": _placed(things, told, rng)}


def _placed(things: list[dict[str, Any]], told: Sequence[tuple[int, str, int]], rng: np.random.Generator) -> list[Any]:
    """Objects with boxes, from left to right: of many layouts at random the first in which most of the relations hold;
    the last object is left out where none has room for it."""
    count = (8, 400, 2500)[len(things) - 1]
    sides = np.array([rng.integers(*SIZES[thing["size"]], endpoint=True) for thing in things])[:, None]
    centres = rng.uniform(sides / 2 + 1, SIDE - sides / 2 - 1, (count, len(things), 2))
    corners = np.clip(np.floor(centres - sides / 2), 1, SIDE - sides - 1).astype(int)
    room = np.ones(len(corners), bool)
    for i in range(len(things)):
        for j in range(i):
            before = corners[:, i] + sides[i] + GAP <= corners[:, j]
            room &= (before | (corners[:, j] + sides[j] + GAP <= corners[:, i])).any(1)
    if not room.any():
        return _placed(things[:-1], [], rng)
    holds = np.zeros(len(corners), int)
    slots = [thing["slot"] for thing in things]
    for i, predicate, j in told:
        if i in slots and j in slots:
            i, j = slots.index(i), slots.index(j)
            across, down = (2 * (corners[:, i] - corners[:, j]) + sides[i] - sides[j]).T
            sideways, axis = (predicate in ("left of", "right of")), np.abs(across) >= np.abs(down)
            way = across if sideways else down
            holds += (axis == sideways) & ((way < 0) == (predicate in ("left of", "above")))
    best = int(np.where(room, holds, -1).argmax())
    objects = [thing | {"box": [int(x), int(y), int(side), int(side)]}
               for thing, (x, y), (side,) in zip(things, corners[best], sides, strict=True)]  # fmt: skip
    return sorted(objects, key=lambda thing: (2 * thing["box"][0] + thing["box"][2], thing["box"][1]))


def account(graph: Graph, places: bool) -> str:
    """All objects of a scene from left to right, with their centres in pixels where ``places``.

    >>> ring = {"size": "small", "color": "red", "texture": "plain", "shape": "ring", "box": [8, 9, 14, 14]}
    >>> account({"background": "sky", "objects": [ring]}, True)
    'a small red plain ring at 14 16, on sky'
    """
    told = []
    for thing in graph["objects"]:
        x, y, w, h = thing["box"]
        where = f" at {(2 * x + w) // 4 * 2} {(2 * y + h) // 4 * 2}" if places else ""
        told.append(a(" ".join(thing[name] for name in FULL)) + where)
    return f"{', '.join(told)}, on {graph['background']}"


def analysis(graph: Graph, painting: Graph | None, faults: Sequence[str]) -> str:
    """What the original shows, what the painting shows, and what of the caption is wrong."""
    kinds = [_SPOKEN.get(kind, kind) for kind in KINDS if kind in faults]
    told = f"original: {account(graph, places=True)}."
    if painting:
        told += f" painting: {account(painting, places=False)}."
    return f"{told} the caption is {'wrong about ' + ', '.join(kinds) if kinds else 'right'}."


_SPOKEN = {"missing": "a missing object", "invented": "an invented object"}


def _pick(rng: np.random.Generator, options: Sequence[Any]) -> Any:
    return options[int(rng.integers(len(options)))]
