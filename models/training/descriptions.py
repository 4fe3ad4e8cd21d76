"""Descriptions of scenes as captioners and revisers write them: of all or a part, in one sentence or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from models.worlds.expressions import ANY_SHAPE
from models.worlds.grammar import BETWEEN, WORDS, Graph, parse, references, relation
from models.worlds.instructions import THIRDS

WORDINGS = (0.2, 0.45, 0.1, 0.1, 0.15)
"""How often each of the world's five wordings is drawn: most often the one that the pocket captioners prefer."""
SHARES = (0.4, 0.5, 0.1)
"""Shares of such wordings, of free ones, and of two of either kind one after the other."""

COUNTED = ("", "one shape", "two shapes", "three shapes")


class Description(NamedTuple):
    """A text, and what it says: a graph whose objects have the attributes named, ``background`` None if not named."""

    text: str
    said: Graph


def described(graph: Graph, rng: np.random.Generator) -> str:
    """Describe a scene in one of many ways, or in two; what is left unsaid may be anything."""
    kinds = ((_wording,), (_text,), (_wording if rng.random() < 0.5 else _text, _text))[rng.choice(3, p=SHARES)]
    texts = [kind(graph, rng) for kind in kinds]
    return ". ".join(text.rstrip(".") for text in texts) + "." if texts[1:] else texts[0]


def _wording(graph: Graph, rng: np.random.Generator) -> str:
    return references(graph, rng)[rng.choice(5, p=WORDINGS)]


def _text(graph: Graph, rng: np.random.Generator) -> str:
    return told(graph, rng).text


def worded(graph: Graph, rng: np.random.Generator) -> Description:
    """Draw one of the world's five wordings.

    >>> from models.worlds import example
    >>> worded(example("scenes", 1, 3).graph, np.random.default_rng(0)).text
    'a large purple striped circle on a black background'
    """
    text = _wording(graph, rng)
    return Description(text, parse(text))


def told(graph: Graph, rng: np.random.Generator) -> Description:
    """Some of the objects with some of their attributes, then details, relations and the ground in any order.

    >>> from models.worlds import example
    >>> told(example("scenes", 1, 2).graph, np.random.default_rng(1)).text
    'a little red stripy triangle and a big pink stripy block. the background is sand.'
    """

    def chance(share: float) -> bool:
        return bool(rng.random() < share)

    def pick(options: Sequence[str]) -> str:
        return options[int(rng.integers(len(options)))]

    def noun(thing: dict[str, str], article: str) -> str:
        words = [pick(WORDS[name][thing[name]]) for name in ("size", "color", "texture", "shape") if name in thing]
        words += [] if "shape" in thing else [pick(ANY_SHAPE)]
        return f"{'an' if article == 'a' and words[0][0] in 'aeiou' else article} {' '.join(words)}"

    count = len(graph["objects"])
    kept = list(range(count)) if chance(0.65) else rng.permutation(count)[: rng.integers(1, count + 1)].tolist()
    if chance(0.5):
        kept = rng.permutation(kept).tolist()
    everything = chance(0.6)
    said = [
        {name: graph["objects"][k][name] for name in WORDS if everything or chance(0.95 if name == "shape" else 0.6)}
        for k in kept
    ]
    late = [{name: value for name, value in thing.items() if name != "shape" and chance(0.5)} if chance(0.2) else {}
            for thing in said]  # fmt: skip
    first = [{k: v for k, v in thing.items() if k not in later} for thing, later in zip(said, late, strict=True)]

    def again(place: int) -> str:
        """The object by its shape or colour and shape where that singles it out of what was said, or in full."""
        for names in (("shape",), ("color", "shape")) if chance(0.5) else (("color", "shape"),):
            short = {name: first[place].get(name) for name in names}
            alike = [one for one in first if all(one.get(name) == value for name, value in short.items())]
            if None not in short.values() and len(alike) == 1:
                return noun(short, "the")  # type: ignore[arg-type]
        return noun(first[place], "the")

    pairs = [(i, j) for i in range(len(kept)) for j in range(i + 1, len(kept))]
    related = [pair for pair in pairs if chance(0.5)] if chance(0.7) else []
    relations: list[dict[str, Any]] = []
    for pair in related:
        i, j = pair if chance(0.5) else pair[::-1]
        relations.append({"subject": i, "predicate": relation(graph, kept[i], kept[j]), "object": j})
    background = graph["background"] if chance(0.7) else None
    opening, rest, ground = [], [], background
    if chance(0.2) and len(kept) == count:
        opening.append(
            f"{pick(('there are', 'the image shows', 'it shows'))} {COUNTED[count]}".replace("are one", "is one")
        )
    if chance(0.5):
        *some, last = [noun(thing, "a") for thing in first]
        listing = f"{', '.join(some)} and {last}" if some else last
        begin = pick(("", "", "there is ", "the image shows ", "the picture shows ", "in the image there is "))
        behind = (
            f" {pick(('on', 'against'))} a {ground} {pick(('background', 'backdrop'))}"
            if ground and chance(0.6)
            else ""
        )
        ground = None if behind else ground
        opening.append(begin + listing + behind)
    else:
        for place, thing in enumerate(first):
            where = f" {_third(graph['objects'][kept[place]])}" if chance(0.15) else ""
            if relations and relations[0]["subject"] == place and relations[0]["object"] < place:
                one = relations.pop(0)
                related_to = f"{pick(BETWEEN[one['predicate']])} {again(one['object'])}"
                opening.append(f"{noun(thing, 'a')} is {related_to}")
                rest.append(one)
            else:
                begin, end = ("there is ", "") if chance(0.4) else ("", " is" if where else "")
                opening.append(begin + noun(thing, "a") + end + where)
    details = [
        f"{again(one['subject'])} is {pick(BETWEEN[one['predicate']])} {again(one['object'])}" for one in relations
    ]
    for place, later in enumerate(late):
        if later:
            words = [pick(WORDS[name][value]) for name, value in later.items()]
            details.append(f"{again(place)} is {' and '.join(words)}")
    if ground:
        details.append(
            pick((f"the background is {ground}", f"it is on a {ground} background", f"the backdrop is {ground}"))
        )
    sentences = opening + [details[k] for k in rng.permutation(len(details))]
    text = ". ".join(sentences) + ("." if len(sentences) > 1 or chance(0.5) else "")
    return Description(text, {"background": background, "objects": said, "relations": rest + relations})


def _third(thing: dict[str, Any]) -> str:
    x, y, w, h = thing["box"]
    column, row = (min(2, int((2 * start + length) * 3 / 128)) for start, length in ((x, w), (y, h)))
    return f"in the {THIRDS[row][column]}"
