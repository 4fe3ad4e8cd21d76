"""Questions of yes and no about the objects of a scene, with their answers.

Wrong objects, colours and relations differ from the truth in one word.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from models.worlds.grammar import OPPOSITE, WORDS, pick, relation

COUNTED = ("no shapes", "one shape", "two shapes", "three shapes", "four shapes", "five shapes")
SIDES = {"left of": "to the left of", "right of": "to the right of", "above": "above", "below": "below"}
KINDS = ("object", "color", "texture", "count", "relation")
"""What a yes/no question is about."""


class Turn(NamedTuple):
    """A question, its answer, and for one that is answered with yes or no what it is about."""

    question: str
    answer: str
    kind: str = ""


def yes_or_no(
    graph: dict[str, Any], kind: str, yes: bool, rng: np.random.Generator, shapes: float = 0.5
) -> Turn | None:
    """A question of one kind with the wanted answer, or None where this picture allows none.

    ``shapes``: how often an object is named by its shape alone, and how often one that is not there is wrong in it.
    """
    objects = graph["objects"]
    thing = objects[rng.integers(len(objects))]
    answer = "yes" if yes else "no"
    if kind == "count":
        wrong = [k for k in range(1, len(COUNTED)) if k != len(objects) and abs(k - len(objects)) <= 2]
        said = len(objects) if yes else wrong[rng.integers(len(wrong))]
        return Turn(f"{'Is there' if said == 1 else 'Are there'} {COUNTED[said]}?", answer, kind)
    if kind == "object":
        named = {"color": thing["color"], "shape": thing["shape"]}
        if not yes:
            changed = "shape" if rng.random() < shapes else "color"
            named[changed] = _other(rng, changed, named[changed])
            if any(all(one[name] == value for name, value in named.items()) for one in objects):
                return None
        return Turn(
            f"Is there a {_word(rng, 'color', named['color'])} {_word(rng, 'shape', named['shape'])}?", answer, kind
        )
    name = only_name(graph, thing, rng, without=kind, shapes=shapes)
    if not name:
        return None
    if kind in ("color", "texture"):
        value = thing[kind] if yes else _other(rng, kind, thing[kind])
        return Turn(f"Is the {name} {_word(rng, kind, value)}?", answer, kind)
    if not (found := beside(graph, thing, rng)):
        return None
    other, true = found
    side = true if yes else pick(rng, [one for one in OPPOSITE if one != true])
    return Turn(f"Is the {name} {SIDES[side]} the {other}?", answer, kind)


def beside(graph: dict[str, Any], thing: dict[str, Any], rng: np.random.Generator) -> tuple[str, str] | None:
    """The name of another object and how ``thing`` lies from it, or None where no other can be named."""
    others = [k for k, one in enumerate(graph["objects"]) if one is not thing]
    rng.shuffle(others)
    for other in others:
        if name := only_name(graph, graph["objects"][other], rng):
            return name, relation(graph, graph["objects"].index(thing), other)
    return None


def only_name(
    graph: dict[str, Any], thing: dict[str, Any], rng: np.random.Generator, without: str = "", shapes: float = 0.5
) -> str:
    """A colour and a shape, or the shape alone (tried first as often as ``shapes`` says), that name one object only;
    empty where nothing so short does."""
    alone, both = ("shape",), ("color", "shape")
    names = [n for n in ((alone, both) if rng.random() < shapes else (both, alone)) if without not in n]
    for some in names:
        if sum(all(one[name] == thing[name] for name in some) for one in graph["objects"]) == 1:
            return " ".join(_word(rng, name, thing[name]) for name in some)
    return ""


def _word(rng: np.random.Generator, attribute: str, value: str) -> str:
    return pick(rng, WORDS[attribute][value])


def _other(rng: np.random.Generator, attribute: str, value: str) -> str:
    return pick(rng, [one for one in WORDS[attribute] if one != value])


def asked(graph: dict[str, Any], rng: np.random.Generator, count: int) -> list[dict[str, str]]:
    """Different questions about a scene as annotations hold them: ``question``, ``answer`` and ``category``.

    Kinds take turns as far as the scene allows, and so do yes and no.

    >>> from models.worlds import example
    >>> found = asked(example("scenes", 0, 3).graph, np.random.default_rng(0), 4)
    >>> [one["category"] for one in found], [one["answer"] for one in found]
    (['object', 'color', 'texture', 'count'], ['yes', 'no', 'yes', 'no'])
    """
    found: dict[str, Turn] = {}
    for turn in range(20 * count):
        made = yes_or_no(graph, KINDS[turn % len(KINDS)], turn % 2 == 0, rng)
        if made and len(found) < count:
            found.setdefault(made.question, made)
    return [{"question": one.question, "answer": one.answer, "category": one.kind} for one in found.values()]


ATTRIBUTES = ("color", "texture", "size")
"""What a question with answers to choose from asks for."""


def multiple_choice(graph: dict[str, Any], rng: np.random.Generator, count: int) -> list[dict[str, Any]]:
    """Different questions for an attribute of an object that can be named without it, as annotations hold them:
    ``question``, ``answer``, ``category`` and the ``choices``, all values of the attribute.

    >>> from models.worlds import example
    >>> [one] = multiple_choice(example("scenes", 0, 3).graph, np.random.default_rng(0), 1)
    >>> one["question"], one["answer"], one["choices"]
    ('What texture is the hoop?', 'plain', ['plain', 'striped', 'dotted'])
    """
    every = [(thing, kind) for thing in graph["objects"] for kind in ATTRIBUTES]
    rng.shuffle(every)
    found = []
    for thing, kind in every:
        if name := only_name(graph, thing, rng, without=kind, shapes=1):
            asked = {"question": f"What {kind} is the {name}?", "answer": thing[kind], "category": kind}
            found.append({**asked, "choices": list(WORDS[kind])})
    return found[:count]
