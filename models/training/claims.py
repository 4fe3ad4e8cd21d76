"""Lessons of the pocket language model about the worlds without shapes: time series, chest films and sounds.

Their captions are claims, joined by "and"; a fused caption makes those of the first and what the second adds.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from models.pocket.prompts import ASK, FUSE, JUDGE, QUESTIONS, SPLIT
from models.worlds import radiographs, trends
from models.worlds.series import _values
from models.worlds.spectrograms import KINDS, WORDINGS

Rng = np.random.Generator
Lesson = tuple[str, str] | None

_SUBJECT = re.compile(r"^the (?:line|series) ")
_AND = re.compile(r" and (?!then\b|down\b)")

ASKED: dict[str, dict[str, str]] = {
    "trend": {"rises": "Does it rise overall?", "falls": "Does it fall overall?", "stays flat": "Does it stay flat?"},
    **{part: {course: f"Does it {verb} {where}?" for course, verb in
              (("rises", "rise"), ("falls", "fall"), ("stays flat", "stay flat"))}
       for part, where in (("beginning", "at the beginning"), ("middle", "in the middle"), ("end", "at the end"))},
    **{turn: {part: f"Is the {turn} {where}?" for part, where in
              (("beginning", "at the beginning"), ("middle", "in the middle"), ("end", "at the end"))}
       for turn in ("peak", "dip")},
    "jump": {"up": "Does it jump up?", "down": "Does it plunge?"},
    "ends": {"higher": "Does it end higher than it starts?", "lower": "Does it end lower than it starts?"},
}  # fmt: skip
"""Fact of a series -> its value -> the question whether that is so."""


def _series(rng: Rng) -> list[str]:
    said = None
    while said is None:
        said = trends.captions(trends.facts(_values(rng)), rng)
    return said


def _films(rng: Rng) -> list[str]:
    labels = [str(label) for label in rng.permutation(radiographs.LABELS)[: rng.choice(3, p=(0.3, 0.35, 0.35))]]
    findings = [{"label": label, "side": str(rng.choice(["left", "right"])),
                 "zone": str(rng.choice(radiographs.ZONES)) if label in ("opacity", "nodule") else None}
                for label in labels]  # fmt: skip
    return radiographs.references({"findings": findings}, rng)


def _sound(rng: Rng) -> tuple[str, str]:
    kind = str(rng.choice(list(KINDS)))
    return kind, str(rng.choice(WORDINGS)).format(kind)


def _world(rng: Rng) -> int:
    return int(rng.choice(3, p=(0.5, 0.4, 0.1)))


def named(rng: Rng) -> Lesson:
    world = _world(rng)
    if world == 0:
        said, names = str(rng.choice(_series(rng))), ["line"]
    elif world == 1:
        said = str(rng.choice(_films(rng)))
        names = [one["label"] for one in radiographs.parse(said)["findings"]] or ["chest"]
    else:
        kind, said = _sound(rng)
        names = [f"{kind} sound"]
    return QUESTIONS.format(sentence=said), "\n".join(ASK.format(name=name) for name in names)


def clauses(caption: str) -> list[str]:
    """The claims of a caption, without their subject.

    >>> clauses("the line falls at the end and peaks in the middle and then drops")
    ['falls at the end', 'peaks in the middle and then drops']
    """
    return _AND.split(_SUBJECT.sub("", caption))


def split(rng: Rng) -> Lesson:
    world = _world(rng)
    if world == 0:
        said = str(rng.choice(_series(rng)))
        found = [f"The line {clause}." for clause in clauses(said)]
    elif world == 1:
        said = str(rng.choice(_films(rng)))
        found = [f"There is {clause}." for clause in clauses(said)]
    else:
        kind, said = _sound(rng)
        found = [f"There is a {kind} sound."]
    return SPLIT.format(caption=said), "\n".join(found)


def fused(rng: Rng) -> Lesson:
    world = _world(rng)
    if world == 0:
        first, second = (str(text) for text in rng.choice(_series(rng), 2, replace=False))
        known = set(trends.parse(first))
        more = [clause for clause in clauses(second) if set(trends.parse(clause)) - known]
        return FUSE.format(caption=first, seen=second), " and ".join([first, *more])
    if world == 1:
        some, others = _films(rng), _films(rng)
        first, second = str(rng.choice(some)), str(rng.choice(some if rng.random() < 0.7 else others))
        known = {one["label"] for one in radiographs.parse(first)["findings"]}
        more = [clause for clause in clauses(second)
                if known and {one["label"] for one in radiographs.parse(clause)["findings"]} - known]  # fmt: skip
        return FUSE.format(caption=first, seen=second), " and ".join([first, *more])
    first, second = (_sound(rng)[1] for _ in range(2))
    return FUSE.format(caption=first, seen=second), first


def judged(rng: Rng) -> Lesson:
    world = _world(rng)
    if world == 0:
        said = str(rng.choice(_series(rng)))
        known = trends.parse(said)
        told = [name for name in known if name in ASKED and known[name] in ASKED[name]]
        name = str(rng.choice(told if told and rng.random() < 0.7 else list(ASKED)))
        own = known.get(name, "")
        values = list(ASKED[name])
        value = own if own in values and rng.random() < 0.55 else str(rng.choice(values))
        answer = "n/a" if not own else "yes" if own == value else "no"
        return JUDGE.format(caption=said, question=ASKED[name][value]), answer
    if world == 1:
        said = str(rng.choice(_films(rng)))
        findings = {one["label"]: one for one in radiographs.parse(said)["findings"]}
        label = str(rng.choice(list(findings if findings and rng.random() < 0.6 else radiographs.LABELS)))
        if label == "cardiomegaly" or rng.random() < 0.5:
            name = f"an {label}" if label[0] in "aeiou" else label if label == "cardiomegaly" else f"a {label}"
            return JUDGE.format(caption=said, question=f"Is there {name}?"), "yes" if label in findings else "no"
        side = str(rng.choice(["left", "right"]))
        own = findings.get(label, {}).get("side")
        answer = "n/a" if not own else "yes" if own == side else "no"
        return JUDGE.format(caption=said, question=f"Is the {label} on the {side}?"), answer
    kind, said = _sound(rng)
    asked = kind if rng.random() < 0.5 else str(rng.choice(list(KINDS)))
    return JUDGE.format(caption=said, question=f"Is this a {asked} sound?"), "yes" if asked == kind else "no"


TASKS: dict[str, Callable[[Rng], Lesson]] = {"named": named, "split": split, "fused": fused, "judged": judged}
"""Tasks that these worlds have lessons of too."""
