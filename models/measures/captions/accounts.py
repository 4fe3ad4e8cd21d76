"""Accounts of generated pictures and of captions about them, in one form for all worlds.

The worlds' own parsers read the captions; this module only brings what they find, and what the worlds' annotations say,
into the form that :mod:`models.measures.captions.grounding` compares, and pairs the objects.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from models.measures.captions.candidates import Annotations
from models.worlds import expressions, grammar, radiographs, spectrograms, trends


class Thing(NamedTuple):
    """An object; ``attributes`` are those that are said of it, or all where it is a true one."""

    kind: str
    attributes: Mapping[str, str]
    box: Sequence[float] | None = None


class Account(NamedTuple):
    """``picture`` holds attributes of the picture as a whole; relations are (subject, predicate, object), by index.

    In a true account objects go from left to right, and every pair that is related is there both ways.
    """

    picture: Mapping[str, str]
    things: Sequence[Thing]
    relations: Sequence[tuple[int, str, int]] = ()


def world_of(annotations: Annotations) -> str:
    """The world whose account of a picture these annotations are.

    A series needs its values only: what is true of it follows from them, for TRUCE's as for the world's.

    Raises
    ------
    ValueError
        They are of no generated world.

    >>> world_of({"kind": "drum", "clip": {}})
    'spectrograms'
    >>> world_of({"objects": [{"label": "dog", "box": [0, 0, 2, 2]}]})
    Traceback (most recent call last):
        ...
    ValueError: annotations of objects are of no generated world, and captions cannot be compared with them: name \
generated corpora, or ones of series, under `corpora`
    """
    for world, names in _TELLING.items():
        if names <= annotations.keys():
            return world
    raise ValueError(
        f"annotations of {', '.join(annotations) or 'nothing'} are of no generated world, and captions cannot be "
        "compared with them: name generated corpora, or ones of series, under `corpora`"
    )


_TELLING: dict[str, set[str]] = {
    "referring": {"background", "objects", "target"},
    "scenes": {"background", "objects"},
    "series": {"series"},
    "radiographs": {"findings"},
    "spectrograms": {"kind", "clip"},
}
"""What annotations must name to be a world's, worlds with more to name first."""


def truth(annotations: Annotations) -> Account:
    """The account of what a picture shows, of a referring expression's its target alone; raises as :func:`world_of`."""
    world = world_of(annotations)
    if world == "referring":
        return Account({}, [_shape(annotations["objects"][annotations["target"]])])
    if world == "scenes":
        return _scene(annotations)
    if world == "series":
        return Account(trends.facts(annotations["series"]["values"]), ())
    if world == "radiographs":
        findings = [_finding(finding) for finding in annotations["findings"]]
        findings.sort(key=lambda thing: tuple(thing.box or ()))
        return Account({} if findings else {"normal": "yes"}, findings)
    return Account({}, [Thing(annotations["kind"], {})])


def _scene(annotations: Annotations) -> Account:
    def from_left(thing: Mapping[str, Any]) -> tuple[float, float]:
        x, y, width, _ = thing["box"]
        return 2 * x + width, y

    things = [_shape(thing) for thing in sorted(annotations["objects"], key=from_left)]
    graph = {"objects": [thing._asdict() for thing in things]}
    pairs = [(i, j) for i in range(len(things)) for j in range(len(things)) if i != j]
    relations = [(i, grammar.relation(graph, i, j), j) for i, j in pairs]
    return Account({"background": annotations["background"]}, things, relations)


def _shape(thing: Mapping[str, Any]) -> Thing:
    attributes = {name: thing[name] for name in grammar.WORDS if name != "shape" and name in thing}
    return Thing(thing["shape"], attributes, thing.get("box"))


def _finding(finding: Mapping[str, Any]) -> Thing:
    attributes = {name: finding[name] for name in ("side", "zone") if finding[name]}
    return Thing(finding["label"], attributes, finding.get("box"))


def _read_scene(caption: str) -> Account:
    found = grammar.parse(caption)
    relations = [(one["subject"], one["predicate"], one["object"]) for one in found["relations"]]
    picture = {"background": found["background"]} if found["background"] else {}
    return Account(picture, [_shape(thing) for thing in found["objects"]], relations)


def _read_film(caption: str) -> Account:
    found = radiographs.parse(caption)
    return Account({"normal": "yes"} if found["normal"] else {}, [_finding(one) for one in found["findings"]])


def _read_sound(caption: str) -> Account:
    kind = spectrograms.parse(caption)["kind"]
    return Account({}, [Thing(kind, {})] if kind else [])


READ: dict[str, Callable[[str], Account]] = {
    "scenes": _read_scene,
    "series": lambda caption: Account(trends.parse(caption), ()),
    "radiographs": _read_film,
    "spectrograms": _read_sound,
}
"""World -> the account that a caption gives, as far as the world's parser can read it."""


def paired(said: Sequence[Thing], true: Sequence[Thing]) -> tuple[dict[int, int], dict[int, list[int]]]:
    """Partners of the objects said among the true ones, and with whom else each would agree just as well.

    Pairs are such that most agrees: first in number, then kinds before attributes, these in the order of their names.
    It does not depend on the order of the objects said. Two that agree in nothing are no pair.

    >>> shown = [Thing("ring", {"color": "red"}), Thing("star", {"color": "blue"})]
    >>> paired([Thing("cross", {"color": "blue"})], shown)
    ({0: 1}, {0: [1]})
    """
    from scipy.optimize import linear_sum_assignment

    if not said or not true:
        return {}, {}
    names = sorted({name for thing in true for name in thing.attributes})
    order = sorted(range(len(said)), key=lambda i: (said[i].kind, sorted(said[i].attributes.items())))
    table = np.array([[_agreement(said[i], thing, names) for thing in true] for i in order], float)
    rows, columns = linear_sum_assignment(table, maximize=True)
    found = [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if table[row, column]]
    equals = {order[row]: np.flatnonzero(table[row] == table[row, column]).tolist() for row, column in found}
    return {order[row]: column for row, column in found}, equals


def _agreement(said: Thing, true: Thing, names: Sequence[str]) -> int:
    """The number of agreements, and below it one digit for each, so that sums over up to 63 pairs stay apart."""
    same = [said.kind == true.kind]
    same += [name in said.attributes and said.attributes[name] == true.attributes.get(name) for name in names]
    weight = sum(same)
    for one in same:
        weight = 64 * weight + one
    return weight


_LINK = re.compile(rf"\b(?:{'|'.join(sorted(sum(grammar.BETWEEN.values(), ()), key=len, reverse=True))})\b")


class Expression(NamedTuple):
    """A referring expression; ``relation`` is its relation and what follows it, empty where it has none."""

    attributes: Mapping[str, str]
    relation: str


def expression(caption: str) -> Expression:
    """The attributes that a referring expression names of its object, the shape among them, and its relation.

    Whom an expression applies to, :func:`models.worlds.expressions.resolve` says; as there, of two values of one
    attribute the last counts.

    >>> expression("The small disc to the left of the star.")
    Expression(attributes={'size': 'small', 'shape': 'circle'}, relation='to the left of the star')
    """
    text = " ".join(re.sub(r"[^a-z ]+", " ", caption.lower()).split())
    link = _LINK.search(text)
    return Expression(_named(text[: link.start()] if link else text), text[link.start() :] if link else "")


def _named(text: str) -> dict[str, str]:
    return dict(grammar.MEANING[word] for word in re.findall("[a-z]+", text) if word in grammar.MEANING)


_PLACING = re.compile(
    rf"\b(?:{'|'.join(expressions.ANY_SHAPE)}|(?:left|right|top)(?:most)?|bottom|upper|lower|middle|center|corner|far|very"
    r"|furthest|highest|lowest|largest|biggest|smallest|larger|bigger|smaller)\b"
)
"""The words of an expression that are neither attributes nor relations."""


def _heard(caption: str) -> Any:
    """Parts of an expression that :func:`models.worlds.expressions.resolve` uses: attributes, places, relations."""
    text = caption.lower()
    return [(_named(part), _PLACING.findall(part)) for part in _LINK.split(text)], _LINK.findall(text)


_IDLE = {
    world: re.compile(rf"\b(?:{words})\b")
    for world, words in {
        "": "an?|the|is|are|was|has|have|there|its?|this|that|which|of|on|in|at|to|with|and|against|by|from|than|then",
        "scenes": "background|backdrop",
        "referring": "(?!)",
        "series": "until the end|from beginning to end|than it starts|throughout|overall|line|series|reaches|point|out|"
        "stays|remains|again|off|very|near|around|towards",
        "radiographs": "airspace|pulmonary|lungs?|lobe|pleural|small|silhouette|disease|abnormality|findings|"
        "cardiopulmonary|chest",
        "spectrograms": "sound",
    }.items()
}
"""Words on which no claim hangs, in any world ("") and in one. Of the other words of the worlds' references, all but
a few are understood; the counts of scenes ("two shapes") are not: they are a claim that the parser does not read."""

NONSENSE = "qqq"


def idle(world: str, word: str) -> bool:
    """Whether no claim hangs on a word by itself.

    >>> idle("scenes", "background,"), idle("scenes", "star,")
    (True, False)
    """
    return not re.search(r"[^\W_]", _IDLE[""].sub(" ", _IDLE[world].sub(" ", word.lower())))


def coverage(world: str, caption: str) -> float | None:
    """The share of a caption's content words that the world's parser understood, in [0, 1]; None where it has none.

    A word is understood if what the parser finds changes when the word is lost, wherever it stands. Where several
    words say the same, they are lost one after the other, from the first and from the last, so that each has its turn.

    >>> coverage("scenes", "a small red ball on a sky background")
    0.25
    >>> coverage("spectrograms", "this is a drum sound")
    1.0
    """
    parse = _heard if world == "referring" else READ[world]
    text = caption.lower()
    words = re.findall(r"[^\W_]+", _IDLE[""].sub(" ", _IDLE[world].sub(" ", text)))
    found, understood = parse(text), set()
    for order in (words, words[::-1]):
        left = text
        for word in dict.fromkeys(order):
            without = re.sub(rf"\b{word}\b", NONSENSE, left)
            if parse(without) == found:
                left = without
            else:
                understood.add(word)
        if left == text:
            break
    return sum(word in understood for word in words) / len(words) if words else None
