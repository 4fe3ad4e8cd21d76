"""Lessons of the pocket language model: prompts about captions of the worlds, with answers that are exactly right.

A caption is true or wrong here as any other: words are exchanged, left out and said twice, as small captioners do, and
the answer is made from what the caption then says, not from a picture.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from models.pocket.prompts import ASK, DETAIL, FINAL, FUSE, JUDGE, OBJECTS, POSITIONS, QUESTIONS, REWRITE, SPLIT
from models.training import claims
from models.training.readings import ORDER, PLACES, Reading, Thing, article, facts, read, same, written
from models.training.spoken import caption, described, dressed, reworded, scene
from models.training.verdicts import question
from models.worlds.expressions import ANY_SHAPE
from models.worlds.grammar import BETWEEN, OPPOSITE, WORDS
from models.worlds.questions import SIDES

Rng = np.random.Generator

ELSEWHERE = 0.12
"""Share of the lessons that are about time series, films and sounds."""


class Lesson(NamedTuple):
    """A prompt, its answer, and the task that they are of."""

    task: str
    prompt: str
    answer: str


def lessons(seed: int, first: int, last: int) -> list[Lesson]:
    """The lessons of these numbers: equal arguments give equal lessons on every machine.

    >>> lessons(1, 5, 7) == lessons(1, 0, 7)[5:]
    True
    """
    return [lesson(np.random.default_rng([seed, number])) for number in range(first, last)]


def lesson(rng: Rng, task: str = "") -> Lesson:
    """One lesson, of any task where none is named."""
    task = task or str(rng.choice(list(TASKS), p=[share for _, share in TASKS.values()]))
    made = None
    while made is None:
        elsewhere = task in claims.TASKS and rng.random() < ELSEWHERE
        made = (claims.TASKS[task] if elsewhere else TASKS[task][0])(rng)
    return Lesson(task, *made)


def named(rng: Rng) -> tuple[str, str] | None:
    said = caption(rng)
    names = list(dict.fromkeys(thing.name() for thing in read(said).things))
    lines = [ASK.format(name=name) for name in names] or ["None."]
    return QUESTIONS.format(sentence=said), "\n".join(lines)


def asked(rng: Rng, reading: Reading) -> tuple[list[tuple[str, str]], list[tuple[str, str]], Reading]:
    """Answers about the objects of a caption and about their places, by name, and the caption's reading with them.

    An answer is believed before the caption, unless it is about another shape.
    """
    known, objects, places = copy.deepcopy(reading), [], []
    names = [thing.name() for thing in reading.things]
    kept = len(names) if rng.random() < 0.8 else int(rng.integers(len(names) + 1))
    for index in list(dict.fromkeys(names.index(name) for name in names))[:kept]:
        thing = Thing(dict(reading.things[index].words))
        if rng.random() < 0.2:
            wrong = str(rng.choice(ORDER, p=(0.35, 0.15, 0.4, 0.1)))
            thing.words[wrong] = str(rng.choice(list(WORDS[wrong])))
        answer = article(described(rng, thing))
        objects.append((names[index], dressed(answer, rng)))
        said = read(answer).things[0]
        if reading.things[index].meaning("shape") in (said.meaning("shape"), *ANY_SHAPE):
            known.things[index].words = said.words
    for index in list(dict.fromkeys(names.index(name) for name in names))[: kept - int(rng.random() < 0.1)]:
        place = str(rng.choice(PLACES))
        known.things[index].place = place
        others = [other for other, name in enumerate(names) if other != index and names.count(name) == 1]
        if others and rng.random() < 0.85:
            other = int(rng.choice(others))
            side = known.relation(index, other)
            side = side if side and rng.random() < 0.9 else str(rng.choice(list(BETWEEN)))
            known.links.pop((other, index), None)
            known.links[index, other] = SIDES[side]
            mention = reading.short(other) if rng.random() < 0.6 else names[other]
            place += f", {SIDES[side]} the {reworded(mention, rng)}"
        places.append((names[index], dressed(place, rng)))
    return objects, places, known


def together(details: list[tuple[str, str]]) -> str:
    """Answers as sentences about what was asked."""
    return " ".join(f"The {name} is {answer[0].lower() + answer[1:].rstrip('.')}." for name, answer in details)


def lines(details: list[tuple[str, str]]) -> str:
    return "\n".join(DETAIL.format(name=name, answer=answer) for name, answer in details)


def objects_together(rng: Rng) -> tuple[str, str] | None:
    details = asked(rng, read(caption(rng)))[0]
    return (OBJECTS.format(descriptions=lines(details)), together(details)) if details else None


def positions_together(rng: Rng) -> tuple[str, str] | None:
    details = asked(rng, read(caption(rng)))[1]
    return (POSITIONS.format(descriptions=lines(details)), together(details)) if details else None


def captioned(rng: Rng) -> tuple[str, str] | None:
    said = caption(rng)
    reading = read(said)
    objects, places, known = asked(rng, reading)
    if not 0 < len(known.things) <= 4:
        return None
    prompt = FINAL.format(context=said, objects=together(objects), positions=together(places))
    return prompt, written(known)


def fused(rng: Rng) -> tuple[str, str] | None:
    graph = scene(rng)
    first, second = caption(rng, graph), caption(rng, graph if rng.random() < 0.95 else None)
    known = both(read(first), read(second))
    if not 0 < len(known.things) <= 4:
        return None
    return FUSE.format(caption=first, seen=second), written(known)


def both(first: Reading, second: Reading) -> Reading:
    """What two captions say together; two things are one where shapes agree and colours do not differ, and what they
    disagree in is as the first says.

    >>> written(both(read("a red ring on a sky background"), read("a star above a small red hoop")))
    'a small red ring below a star, on a sky background'
    """
    known = copy.deepcopy(first)
    place: dict[int, int] = {}
    for index, thing in enumerate(second.things):
        free = [i for i in range(len(first.things)) if i not in place.values()]
        alike = [i for i in free if same(known.things[i], thing, ("shape", "color"))]
        alike.sort(key=lambda i: not same(known.things[i], thing, ("size", "texture")))
        if alike:
            known.things[alike[0]].words = thing.words | known.things[alike[0]].words
            known.things[alike[0]].place = known.things[alike[0]].place or thing.place
        else:
            known.things.append(copy.deepcopy(thing))
        place[index] = alike[0] if alike else len(known.things) - 1
    for (i, j), phrase in second.links.items():
        if not known.relation(place[i], place[j]):
            known.links[place[i], place[j]] = phrase
    known.ground = known.ground or second.ground
    return known


def split(rng: Rng) -> tuple[str, str] | None:
    if rng.random() < 0.3:  # a caption with places, such as the model itself writes
        said = dressed(written(asked(rng, read(caption(rng)))[2]), rng) if rng.random() < 0.9 else caption(rng)
    else:
        said = caption(rng)
    found = facts(read(said))
    return (SPLIT.format(caption=said), "\n".join(found)) if found else None


def judged(rng: Rng) -> tuple[str, str] | None:
    said = caption(rng)
    if rng.random() < 0.3 and len(read(said).things) <= 4:
        said = dressed(written(asked(rng, read(said))[2]), rng)
    reading = read(said)
    found = question(reading, rng)
    return (JUDGE.format(caption=said, question=found[0]), found[1]) if found else None


def rewritten(rng: Rng) -> tuple[str, str] | None:
    said = caption(rng)
    known = read(said)
    if not 0 < len(known.things) <= 4:
        return None
    for thing in known.things:
        thing.words = {name: reworded(word, rng) for name, word in thing.words.items()}
    if rng.random() < 0.5:
        known.links = {(j, i): str(rng.choice(BETWEEN[OPPOSITE[known.relation(i, j)]])) for i, j in known.links}
    return REWRITE.format(caption=said), written(known)


TASKS: dict[str, tuple[Callable[[Rng], tuple[str, str] | None], float]] = {
    "named": (named, 0.09),
    "objects": (objects_together, 0.05),
    "positions": (positions_together, 0.05),
    "caption": (captioned, 0.22),
    "fused": (fused, 0.17),
    "split": (split, 0.12),
    "judged": (judged, 0.26),
    "rewritten": (rewritten, 0.04),
}
"""Task -> its lessons, and their share."""
