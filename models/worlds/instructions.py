"""Questions and instructions about pictures of the worlds, with answers from a world's own account of them.

The questions are those that recaptioning needs: describe the picture; describe one object; say where it is; yes or no
about an object, a colour, a texture, a count or a relation. Wrong objects, colours and relations of the yes/no
questions differ from the truth in one word, and half of the answers are no.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from models.worlds.grammar import WORDS, pick
from models.worlds.questions import COUNTED, KINDS, SIDES, Turn, beside, only_name, yes_or_no

DESCRIBE = "Describe the image."
"""The default prompt of the adapters."""
BOXED = "Describe what is inside the red box."

THIRDS = (("upper left", "upper middle", "upper right"), ("middle left", "centre", "middle right"),
          ("lower left", "lower middle", "lower right"))  # fmt: skip
HARD = (0.4, 0.1, 0.15, 0.05, 0.3)
"""How often each kind is asked: more often what is learnt late."""

SHAPES = 0.85
"""How often training names an object by its shape alone where that is enough, and how often an object that is not there
differs in its shape: an object is found by its colour long before it is found by its shape."""


def turns(graph: dict[str, Any], captions: Sequence[str], rng: np.random.Generator, asked: int) -> list[Turn]:
    """A description and, where there are shapes, ``asked`` questions: one object, one place, and yes or no.

    >>> thing = {"shape": "ring", "color": "red", "texture": "plain", "size": "small", "box": [8, 8, 14, 14]}
    >>> found = turns({"background": "sky", "objects": [thing]}, ["a ring"], np.random.default_rng(0), 5)
    >>> found[0].answer, found[1].answer, found[2].answer
    ('a ring', 'a small red plain ring', 'in the upper left')
    """
    if "target" in graph:
        return [Turn(BOXED, pick(rng, captions)), *questions(graph, rng, asked)]
    if "background" in graph:
        chosen = captions[rng.choice(len(captions), p=PREFERRED)] if len(captions) == 5 else captions[0]
        return [Turn(DESCRIBE, chosen), *questions(graph, rng, asked)]
    return [Turn(DESCRIBE, pick(rng, captions))]


PREFERRED = (0.1, 0.8, 0.0, 0.0, 0.1)
"""How often each of a scene's five wordings is the description: mostly the one with relations."""


def questions(graph: dict[str, Any], rng: np.random.Generator, count: int) -> list[Turn]:
    """``count`` questions about a scene graph: three about an object, the others of the five kinds."""
    things = list(enumerate(graph["objects"]))
    singled = [(k, name) for k, thing in things if (name := only_name(graph, thing, rng, shapes=SHAPES))]
    found = []
    if singled:
        k, name = singled[rng.integers(len(singled))]
        which = (f"Describe the {name}.", f"Describe more details about the {name}.")
        found.append(Turn(pick(rng, which), f"a {full_name(graph['objects'][k])}"))
        k, name = singled[rng.integers(len(singled))]
        where = (f"Where is the {name}?", f"Describe more details about the position of the {name}.")
        found.append(Turn(pick(rng, where), place(graph, k, rng)))
    found.append(what(graph, rng))
    while len(found) < count:
        if made := yes_or_no(graph, KINDS[rng.choice(len(KINDS), p=HARD)], bool(rng.integers(2)), rng, SHAPES):
            found.append(made)
    return found


def instructed(graph: dict[str, Any], rng: np.random.Generator, count: int) -> list[dict[str, str]]:
    """``count`` questions about a scene as annotations hold them, as :func:`models.worlds.questions.asked` gives those
    of yes and no alone; the category of others is ``open``.

    >>> from models.worlds import example
    >>> [one["category"] for one in instructed(example("scenes", 0, 3).graph, np.random.default_rng(0), 5)]
    ['open', 'open', 'open', 'relation', 'object']
    """
    return [{"question": one.question, "answer": one.answer, "category": one.kind or "open"}
            for one in questions(graph, rng, count)]  # fmt: skip


def what(graph: dict[str, Any], rng: np.random.Generator) -> Turn:
    """Ask for the number of shapes, a relation of two objects, or a colour, texture or size.

    >>> thing = {"shape": "ring", "color": "red", "texture": "plain", "size": "small"}
    >>> what({"objects": [thing]}, np.random.default_rng(3))
    Turn(question='How many shapes are there?', answer='one', kind='')
    """
    thing = pick(rng, graph["objects"])
    asked = pick(rng, ("color", "texture", "size", "count", "relation", "relation"))
    name = only_name(graph, thing, rng, without=asked)
    if asked == "relation" and name and (found := beside(graph, thing, rng)):
        other, side = found
        return Turn(f"Where is the {name} relative to the {other}?", f"{SIDES[side]} it")
    if asked in WORDS and name:
        return Turn(f"What {asked} is the {name}?", thing[asked])
    return Turn("How many shapes are there?", COUNTED[len(graph["objects"])].split()[0])


def full_name(thing: dict[str, Any]) -> str:
    """Every attribute, in the world's first words."""
    return " ".join(thing[name] for name in ("size", "color", "texture", "shape"))


def place(graph: dict[str, Any], index: int, rng: np.random.Generator) -> str:
    """Place of an object: a ninth of the picture, and from another object that can be named.

    >>> place({"objects": [{"box": [44, 44, 14, 14]}]}, 0, np.random.default_rng(0))
    'in the lower right'
    """
    x, y, w, h = graph["objects"][index]["box"]
    column, row = (min(2, int((2 * start + length) * 3 / 128)) for start, length in ((x, w), (y, h)))
    found = f"in the {THIRDS[row][column]}"
    if near := beside(graph, graph["objects"][index], rng):
        other, side = near
        return f"{found}, {SIDES[side]} the {other}"
    return found
