"""Lessons of the pocket language model: prompts about captions of the worlds, with answers that are exactly right.

A caption is true or wrong here as any other: words are exchanged, left out and said twice, as small captioners do, and
the answer is made from what the caption then says, not from a picture.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from models.training import claims
from models.training.instructions import SIDES, THIRDS
from models.training.prompts import ASK, CAPTION, DETAIL, FUSE, JUDGE, NAME, OBJECTS, POSITIONS, REWRITE, SPLIT
from models.training.readings import BEFORE, BEHIND, ORDER, Reading, Thing, article, facts, read, same, written
from models.worlds.expressions import ANY_SHAPE
from models.worlds.grammar import BACKGROUNDS, BETWEEN, MEANING, OPPOSITE, WORDS, references
from models.worlds.scenes import COUNTS, attributes, layout

PLACES = [f"in the {place}" for row in THIRDS for place in row]
COUNTED = ("one shape", "two shapes", "three shapes", "four shapes", "five shapes")
KINDS = {"object": 0.22, "color": 0.14, "texture": 0.14, "size": 0.09, "count": 0.08, "relation": 0.2, "place": 0.06,
         "ground": 0.07}  # fmt: skip
"""What a question is about, and how often."""
ELSEWHERE = 0.12
"""Share of the lessons that are about time series, films and sounds."""
UNKNOWN = ("dog", "car", "very", "wooden", "shiny", "the", "image", "shows", "near", "house", "tree")
"""Words that no world has; they have to be read over."""

Rng = np.random.Generator


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


def scene(rng: Rng) -> dict[str, Any]:
    """A scene graph without a picture; in a third of them objects are alike."""
    objects, count = None, 1 + int(rng.choice(3, p=COUNTS))
    few = {name: rng.choice(list(WORDS[name]), 2) for name in ("shape", "color")} if rng.random() < 0.3 else {}
    while objects is None:
        alike = [{name: str(rng.choice(values)) for name, values in few.items()} for _ in range(count)]
        objects = layout(rng, [attributes(rng) | given for given in alike])
    return {"background": str(rng.choice(BACKGROUNDS)), "objects": objects}


def caption(rng: Rng, graph: dict[str, Any] | None = None) -> str:
    """A reference of a scene, or what a captioner might make of it."""
    graph = graph or scene(rng)
    if rng.random() < 0.06:
        return dressed(expression(graph, rng), rng)
    text = references(graph, rng)[rng.choice(5, p=(0.2, 0.35, 0.15, 0.15, 0.15))]
    text = text.replace(":", " :" if rng.random() < 0.6 else ":")  # as word pieces are put together
    if rng.random() < 0.15:
        text += f"{rng.choice([', and', '. there is', ', with'])} {article(described(rng, Thing()))}"
    if rng.random() < 0.12:
        clauses = text.split(", ")
        text = ", ".join(clauses[: rng.integers(1, len(clauses) + 1)])
    if rng.random() < 0.35:
        text = blurred(text, rng)
    return dressed(text, rng)


def expression(graph: dict[str, Any], rng: Rng) -> str:
    """A phrase for one object, in the manner of the ``referring`` world; it need not single it out."""
    one, other = (graph["objects"][rng.integers(len(graph["objects"]))] for _ in range(2))
    said = [str(rng.choice(WORDS[name][one[name]])) for name in ORDER[:3] if rng.random() < 0.4]
    noun = " ".join([*said, str(rng.choice(WORDS["shape"][one["shape"]] if rng.random() < 0.6 else ANY_SHAPE))])
    luck = rng.random()
    if luck < 0.3:
        return f"the {rng.choice(sorted(BEFORE))} {noun}"
    if luck < 0.7:
        return f"the {noun} {rng.choice(sorted(BEHIND))}"
    side = str(rng.choice(list(BETWEEN)))
    return f"the {noun} {rng.choice(BETWEEN[side])} the {other['color']} {other['shape']}"


def blurred(text: str, rng: Rng) -> str:
    """Words exchanged for others of their kind, left out, said twice, and words that mean nothing here."""
    words: list[str] = []
    for word in text.split():
        bare = word.strip(",.")
        attribute = MEANING[bare][0] if bare in MEANING else ""
        luck = rng.random()
        if attribute and luck < 0.06:
            value = str(rng.choice(list(WORDS[attribute])))
            word = word.replace(bare, str(rng.choice(WORDS[attribute][value])))
        elif attribute and attribute != "shape" and luck < 0.25:
            continue
        elif luck > 0.985:
            words.append(str(rng.choice(UNKNOWN)))
        elif not attribute and luck < 0.02 and bare != "side":
            continue
        elif luck > 0.975:
            words += [word] * int(rng.integers(1, 5))
        words.append(word)
    if words and rng.random() < 0.3:
        begin, length = int(rng.integers(len(words))), int(rng.integers(1, 6))
        words[begin:begin] = words[begin : begin + length]
    return re.sub(r"\ban?\b(?= (\w))", lambda a: "an" if a[1] in "aeiou" else "a", " ".join(words))


def dressed(text: str, rng: Rng) -> str:
    """Sometimes with a capital, and sometimes with an end mark."""
    luck = rng.random()
    text = text[:1].upper() + text[1:] if luck < 0.15 else text
    return text + "." * (0.05 < luck < 0.25)


def described(rng: Rng, thing: Thing) -> str:
    """All attributes of a thing, in any words of their meaning; what is not said of it is drawn."""
    values = {name: thing.meaning(name) if thing.meaning(name) in WORDS[name] else str(rng.choice(list(WORDS[name])))
              for name in ORDER}  # fmt: skip
    first = rng.random() < 0.6  # as the captioners of the family answer
    return " ".join(value if first else str(rng.choice(WORDS[name][value])) for name, value in values.items())


def named(rng: Rng) -> tuple[str, str] | None:
    said = caption(rng)
    names = list(dict.fromkeys(thing.name() for thing in read(said).things))
    lines = [ASK.format(name=name) for name in names] or ["None."]
    return NAME.format(sentence=said), "\n".join(lines)


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


def reworded(phrase: str, rng: Rng) -> str:
    """The phrase, perhaps in other words of the same meaning."""
    if rng.random() < 0.5:
        return phrase
    return " ".join(str(rng.choice(WORDS[MEANING[word][0]][MEANING[word][1]])) if word in MEANING else word
                    for word in phrase.split())  # fmt: skip


def together(details: list[tuple[str, str]]) -> str:
    """Answers as sentences about what was asked."""
    return " ".join(f"The {name} is {answer[0].lower() + answer[1:].rstrip('.')}." for name, answer in details)


def lines(details: list[tuple[str, str]]) -> str:
    return "\n".join(DETAIL.format(name=name, answer=answer) for name, answer in details)


def objects_together(rng: Rng) -> tuple[str, str] | None:
    details = asked(rng, read(caption(rng)))[0]
    return (OBJECTS.format(details=lines(details)), together(details)) if details else None


def positions_together(rng: Rng) -> tuple[str, str] | None:
    details = asked(rng, read(caption(rng)))[1]
    return (POSITIONS.format(details=lines(details)), together(details)) if details else None


def captioned(rng: Rng) -> tuple[str, str] | None:
    said = caption(rng)
    reading = read(said)
    objects, places, known = asked(rng, reading)
    if not 0 < len(known.things) <= 4:
        return None
    prompt = CAPTION.format(caption=said, objects=together(objects), positions=together(places))
    return prompt, written(known)


def fused(rng: Rng) -> tuple[str, str] | None:
    graph = scene(rng)
    first, second = caption(rng, graph), caption(rng, graph if rng.random() < 0.95 else None)
    known = both(read(first), read(second))
    if not 0 < len(known.things) <= 4:
        return None
    return FUSE.format(first=first, second=second), written(known)


def both(first: Reading, second: Reading) -> Reading:
    """What two captions say together; two things are one where shapes agree and colours do not differ, and what they
    disagree in is as the first says.

    >>> written(both(read("a red ring on a sky background"), read("a star above a small red hoop")))
    'a star above a small red ring, on a sky background'
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
        if number > 5 or (reading.count and reading.count != COUNTED[len(things) - 1]):
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


def drawn(name: str, rng: Rng) -> str:
    return str(rng.choice(WORDS[name][str(rng.choice(list(WORDS[name])))]))


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
    "named": (named, 0.1),
    "objects": (objects_together, 0.07),
    "positions": (positions_together, 0.07),
    "caption": (captioned, 0.22),
    "fused": (fused, 0.16),
    "split": (split, 0.13),
    "judged": (judged, 0.2),
    "rewritten": (rewritten, 0.05),
}
"""Task -> its lessons, and their share."""
