"""Questions about a caption of shapes, and what it answers: yes, no, or n/a."""

from __future__ import annotations

import numpy as np

from models.training.readings import PLACES, Reading, Thing, article, same
from models.training.spoken import drawn, reworded
from models.worlds.grammar import BACKGROUNDS, BETWEEN, MEANING
from models.worlds.questions import SIDES

Rng = np.random.Generator

KINDS = {"object": 0.22, "color": 0.14, "texture": 0.14, "size": 0.09, "count": 0.08, "relation": 0.2, "place": 0.06,
         "ground": 0.07}  # fmt: skip
"""What a question is about, and how often."""
COUNTED = ("one shape", "two shapes", "three shapes", "four shapes", "five shapes")


def question(reading: Reading, rng: Rng) -> tuple[str, str] | None:
    """A question and what a caption answers: n/a where it speaks of the thing and does not say, or not of the thing.

    Objects that a caption does not name are taken not to be there.
    """
    things, kind = reading.things, str(rng.choice(list(KINDS), p=list(KINDS.values())))
    if kind == "ground":
        ground = reading.ground if rng.random() < 0.5 and reading.ground else str(rng.choice(BACKGROUNDS))
        return f"Is the background {ground}?", verdict([reading.ground == ground if reading.ground else None])
    if not things:
        return None
    thing = things[rng.integers(len(things))]
    if kind == "count":
        number = len(things) if rng.random() < 0.5 else int(rng.integers(1, 6))
        if number > 5 or (reading.count and reading.count != COUNTED[min(len(things), len(COUNTED)) - 1]):
            return None
        return f"{'Is' if number == 1 else 'Are'} there {COUNTED[number - 1]}?", verdict([len(things) == number])
    if kind == "object":
        wanted = {name: word for name, word in thing.words.items() if name in ("color", "shape")}
        if "color" not in wanted or rng.random() < 0.1:
            wanted["color"] = drawn("color", rng)
        if rng.random() < 0.5:
            name = str(rng.choice(["color", "shape"], p=[0.3, 0.7]))
            wanted[name] = drawn(name, rng)
        if rng.random() < 0.1:
            del wanted["color"]
        asked_for = Thing(wanted)
        return f"Is there {article(reworded(asked_for.phrase(), rng))}?", verdict([fits(t, asked_for) for t in things])
    subject = singled(things, thing, kind, rng)
    if kind == "relation":
        return related(reading, subject, rng)
    own = thing.place if kind == "place" else thing.words.get(kind, "")
    value = own if own and rng.random() < 0.55 else str(rng.choice(PLACES)) if kind == "place" else drawn(kind, rng)
    truth = [has(one, kind, value) for one in things if fits(one, subject) is not False]
    return f"Is the {reworded(subject.phrase(), rng)} {value if kind == 'place' else reworded(value, rng)}?", verdict(
        truth or [None]
    )


def singled(things: list[Thing], thing: Thing, kind: str, rng: Rng) -> Thing:
    """A thing by its shape, and by its colour too where another has that shape; now and then one that is not there."""
    alone = sum(one.meaning("shape") == thing.meaning("shape") for one in things) == 1
    short = kind == "color" or "color" not in thing.words or (alone and rng.random() < 0.6)
    words = {"shape": thing.words["shape"]} | ({} if short else {"color": thing.words["color"]})
    return Thing(words if rng.random() < 0.9 else words | {"shape": drawn("shape", rng)})


def related(reading: Reading, subject: Thing, rng: Rng) -> tuple[str, str] | None:
    things = reading.things
    other = things[rng.integers(len(things))]
    anchor = singled(things, other, "relation", rng)
    pairs = [(i, j) for i, one in enumerate(things) for j, two in enumerate(things)
             if i != j and fits(one, subject) is not False and fits(two, anchor) is not False]  # fmt: skip
    if same(subject, anchor, ("shape", "color")):
        return None
    known = [chained(reading, i, j) for i, j in pairs]
    said = [side for side in known if side]
    side = said[0] if said and rng.random() < 0.5 else str(rng.choice(list(BETWEEN)))
    link = SIDES[side] if rng.random() < 0.7 else str(rng.choice(BETWEEN[side]))
    text = f"Is the {reworded(subject.phrase(), rng)} {link} the {reworded(anchor.phrase(), rng)}?"
    return text, verdict([one == side if one else None for one in known] or [None])


def chained(reading: Reading, one: int, other: int) -> str:
    """A relation that is said, or that two relations of the same kind imply."""
    if found := reading.relation(one, other):
        return found
    ways = [reading.relation(one, k) for k in range(len(reading.things)) if k not in (one, other)
            and reading.relation(one, k) == reading.relation(k, other)]  # fmt: skip
    return next((way for way in ways if way), "")


def fits(thing: Thing, wanted: Thing) -> bool | None:
    """Whether a mention is of the wanted thing; None where it does not say."""
    values = [has(thing, name, word) for name, word in wanted.words.items()]
    return False if False in values else None if None in values else True


def has(thing: Thing, name: str, word: str) -> bool | None:
    if name == "place":
        return thing.place == word if thing.place else None
    own = thing.meaning(name)
    if own in ("shape", "object", ""):
        return None
    return own == MEANING[word][1] if word in MEANING else None


def verdict(truths: list[bool | None]) -> str:
    """Yes where one is true, n/a where one may be, else no."""
    return "yes" if True in truths else "n/a" if None in truths else "no"
