"""Relations in the plane between two things that a detector found (T2I-CompBench, UniDet evaluation).

Half of the score is for finding both things, by the detector's own scores, and half for their relation; below one half
in all, it is 0. The released code (:func:`released`) differs from what it means in five ways, which :func:`placed`
mends:

- "next to" is measured in pixels: 150, whatever the picture's size; here in shares of its longer side;
- things count as next to each other where they are near in *one* direction, so one above the other at any distance;
- "on top of" is read, but has no rule, so it always scores 0;
- of several things of one name only the first counts; here the pair that scores best;
- two things of one name are compared with themselves, and are next to each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from models.adapters.requests import Detected
from models.adapters.roles import Detection
from models.measures.prompted.phrases import ARTICLES, listed

Direction = Literal["near", "left", "right", "top", "bottom"]

LOCALITY = re.compile(
    r"\b(?:next to|near|on (?:the )?side of|on (?:the )?(?P<side>left|right|top|bottom)(?: side)? of)\b", re.IGNORECASE
)
NEAR = 150
"""Pixels within which the released code calls things near each other."""
USUAL = 512
"""The side in pixels of the pictures that it was made for."""
OVERLAP = 0.1
"""Intersection over union from which on things are not beside each other."""
FOUND = 0.5
"""The least score that counts."""
PERSONS = frozenset({"girl", "boy", "man", "woman"})
"""What a detector knows as a person."""


@dataclass(frozen=True, slots=True)
class Relation:
    """That ``one`` is to be found ``where`` of ``other``, and the ``words`` that say so."""

    one: str
    other: str
    where: Direction
    words: str

    @property
    def labels(self) -> tuple[str, ...]:
        """What a detector is asked for: both things, and a person where one of them is one."""
        return tuple(dict.fromkeys(name for thing in (self.one, self.other) for name in names(thing)))


def names(thing: str) -> tuple[str, ...]:
    """What a thing may be called by a detector.

    >>> names("girl"), names("lamp")
    (('girl', 'person'), ('lamp',))
    """
    return (thing, "person") if thing in PERSONS else (thing,)


def bare(phrase: str) -> str:
    """A phrase without its article.

    >>> bare(" a lamp. ")
    'lamp'
    """
    words = phrase.strip(" .").split()
    return " ".join(words[1:] if words and words[0].lower() in ARTICLES else words)


def relation(text: str, phrases: Sequence[str] = ()) -> Relation:
    """The relation of a prompt, between what stands on both sides of its words; of a sentence, between the last of its
    ``phrases`` before them and the first behind.

    Raises
    ------
    ValueError
        It says where nothing is, or not what.

    >>> relation("a cat on the left of a lamp")
    Relation(one='cat', other='lamp', where='left', words='on the left of')
    >>> relation("The soft towel was on top of the hard counter.", ["the soft towel", "the hard counter"]).one
    'soft towel'
    """
    found = LOCALITY.search(text)
    if not found:
        raise ValueError(f"the prompt {text!r} says of nothing where it is, as 'a cat on the left of a lamp' does")
    before, behind = text[: found.start()], text[found.end() :]
    if phrases:
        some = ([one for one in phrases if one.lower() in part.lower()] for part in (before, behind))
        left, right = (sorted(own, key=part.lower().find) for own, part in zip(some, (before, behind), strict=True))
        before, behind = left[-1] if left else "", right[0] if right else ""
    else:
        (before,), (behind,) = listed(before), listed(behind)
    if not bare(before) or not bare(behind):
        raise ValueError(f"the prompt {text!r} does not name what is {found[0]} what")
    where: Direction = found["side"].lower() if found["side"] else "near"  # type: ignore[assignment]
    return Relation(bare(before), bare(behind), where, found[0].lower())


def centre(box: Sequence[float]) -> tuple[float, float]:
    """The centre of a box (left, top, right, bottom).

    >>> centre((0, 0, 4, 2))
    (2.0, 1.0)
    """
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union of two boxes; 0 where neither has an area.

    >>> overlap((0, 0, 2, 2), (0, 1, 2, 3))
    0.3333333333333333
    """
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - shared
    return shared / union if union else 0.0


def beside(where: Direction, one: Sequence[float], other: Sequence[float]) -> float:
    """Whether a box lies left, right, on top or at the bottom of another one, in [0, 1].

    It does where their centres lie further apart in that direction than in the other; it counts for less the more they
    overlap.

    >>> beside("left", (0, 0, 2, 2), (8, 1, 10, 3)), beside("top", (0, 0, 2, 2), (8, 1, 10, 3))
    (1.0, 0.0)
    """
    (x, y), (to_x, to_y) = centre(one), centre(other)
    across, down = to_x - x, to_y - y
    ahead, aside = {"left": (across, down), "right": (-across, down), "top": (down, across), "bottom": (-down, across)}[
        where
    ]
    if ahead <= abs(aside):
        return 0.0
    shared = overlap(one, other)
    return OVERLAP / shared if shared >= OVERLAP else 1.0


def near(one: Sequence[float], other: Sequence[float], within: float) -> float:
    """1 where two centres are within a distance of each other in both directions, and less in proportion beyond.

    >>> near((0, 0, 2, 2), (3, 4, 5, 6), 8), near((0, 0, 2, 2), (3, 4, 5, 6), 2)
    (1.0, 0.5)
    """
    apart = _apart(one, other)
    return min(1.0, within / max(apart)) if any(apart) else 1.0


def _apart(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    (x, y), (to_x, to_y) = centre(one), centre(other)
    return abs(to_x - x), abs(to_y - y)


def placed(wanted: Relation, found: Detected) -> float:
    """The score of the pair of things that shows a relation best, in [0, 1]; it depends on no picture's size.

    Where only one of the two was found it is 0, since a quarter is less than one half.
    """
    within = NEAR / USUAL * max(found.width, found.height)

    def related(one: Detection, other: Detection) -> float:
        return near(one.box, other.box, within) if wanted.where == "near" else beside(wanted.where, one.box, other.box)

    own, others = (_called(thing, found.detections) for thing in (wanted.one, wanted.other))
    pairs = ((one, other) for one, other in product(own, others) if one is not other)
    scores = ((one.score + other.score) / 4 + related(one, other) / 2 for one, other in pairs)
    return _counted(max(scores, default=0.0))


def released(wanted: Relation, found: Detected) -> float:
    """The score by the released code, its faults included: of the first thing of each name, in pixels."""
    own, others = (
        next((one for one in found.detections if one.label == names(thing)[-1]), None)
        for thing in (wanted.one, wanted.other)
    )
    known = [one for one in (own, others) if one]
    score = sum(one.score for one in known) / 4
    if own and others:
        if wanted.where == "near":
            apart = _apart(own.box, others.box)
            score += 0.5 if min(apart) < NEAR else NEAR / max(apart) / 2
        elif not wanted.words.endswith("on top of"):
            score += beside(wanted.where, own.box, others.box) / 2
    return _counted(score)


def _called(thing: str, detections: Iterable[Detection]) -> list[Detection]:
    """What was found under a thing's own name, or else under what a detector may call it."""
    listed = list(detections)
    found = ([one for one in listed if one.label == name] for name in names(thing))
    return next((some for some in found if some), [])


def _counted(score: float) -> float:
    return 0.0 if score < FOUND else score
