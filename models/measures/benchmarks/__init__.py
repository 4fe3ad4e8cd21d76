"""Benchmarks: what a chat model is asked about pictures whose truth is known, each to be read beside its source.

A benchmark makes ``questions`` of what a corpus knows of its pictures, each with the answers to choose from; ``ask`` is
a method (:mod:`models.adapters.requests`) that gets them answered; ``values`` makes numbers of the answers, of one
picture's or of a corpus', and knows no model.

Where a model tells how probable words are, its answer is the likeliest of those to choose from, begun with a small or a
capital letter; else it is read from what the model writes, and what cannot be read is counted and never taken for an
answer.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from string import Formatter
from typing import Any, ClassVar, NamedTuple

import numpy as np
from pydantic import field_validator

from models.adapters import roles
from models.adapters.requests import Ask, Asking, Choose, Failure
from models.adapters.roles import Pictured, Reply
from models.adapters.settings import Settings as Settings
from models.measures import Metric
from models.measures.judged import share

ANSWERER = "answerer"
"""The role of the model that a benchmark asks."""

MOST = 3
"""Most objects of a picture that are asked about in one way, as POPE has it."""


@dataclass(frozen=True)
class Question:
    """A question about a picture, the right answer, and the answers to choose from."""

    text: str
    answer: str
    choices: tuple[str, ...]
    group: str
    """What it counts for: metrics are called after it."""
    usual: str = ""
    """The most frequent right answer to such questions in the corpus, which needs no look at the picture; of choices
    that no other question has, that in the place in which most such have theirs."""

    def parts(self) -> list[Any]:
        """What of it enters a key."""
        return [self.text, self.answer, list(self.choices), self.group, self.usual]


class Answer(NamedTuple):
    """An answer that was given."""

    group: str
    question: str
    expected: str
    usual: str
    said: str | None
    """One of the choices; None where what was written cannot be read."""


Annotations = Mapping[str, Any]
"""What a corpus knows of a picture."""


class Benchmark(ABC):
    """Base of all benchmarks. Its ``METRICS`` are called after the groups of its questions."""

    VERSION: ClassVar[int] = 2
    METRICS: ClassVar[tuple[Metric, ...]]
    ROLES: ClassVar[Mapping[str, str]] = {}
    """Who is asked beside the model, each with the role of the catalogue whose models can play it."""
    NEEDS: ClassVar[str]
    """What a corpus must know of its pictures, in words."""
    Settings: ClassVar[type[Settings]] = Settings

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        """What the answers depend on beside the questions."""
        return {}

    def questions(self, pictures: Mapping[str, Annotations]) -> dict[str, list[Question]]:
        """The questions about the pictures of a corpus, by sample; none about a picture of which too little is known.

        Of equal annotations they are equal. Raises ``ValueError`` where an object lacks what a question names.
        """
        return with_usual({sample: found for sample, found in self._asked(pictures).items() if found})

    @abstractmethod
    def _asked(self, pictures: Mapping[str, Annotations]) -> dict[str, list[Question]]:
        """The questions by sample."""

    def ask(self, picture: Pictured, questions: Sequence[Question]) -> Asking[list[Answer]]:
        """Ask about a picture. Raises ``ValueError`` where a question got no reply."""
        return (yield from chosen(ANSWERER, questions, [one.text for one in questions], (picture,)))

    def most(self, questions: Sequence[Question]) -> dict[str, int]:
        """How many requests these questions about a picture are at most, by role, of a model that tells probabilities:
        what is asked alike is one. Where an answer begins another one it tells none, and is asked again."""
        asked = {(one.text, one.choices) for one in questions}
        again = sum(any(a != b and b.startswith(a) for a in some for b in some) for _, some in asked)
        return {ANSWERER: len(asked) + again}

    @abstractmethod
    def values(self, answers: Sequence[Answer]) -> dict[str, float | None]:
        """Metric -> value of one picture or of all pictures of a corpus; None over nothing."""


def with_usual(asked: Mapping[str, Sequence[Question]]) -> dict[str, list[Question]]:
    """Questions with the most frequent answer of their group and choices; of equally frequent ones the first choice.

    Of one question alone that would be its own answer. Where choices are a question's own, it is their most frequent
    place that counts, among as many.
    """
    counts: dict[tuple[str, tuple[str, ...]], Counter[str]] = defaultdict(Counter)
    for one in (one for some in asked.values() for one in some):
        counts[one.group, one.choices][one.answer] += 1
    usual = {key: max(key[1], key=count.__getitem__) for key, count in counts.items()}
    places: dict[tuple[str, int], Counter[int]] = defaultdict(Counter)
    alone = [key for key, count in counts.items() if count.total() == 1]
    for group, choices in alone:
        places[group, len(choices)][choices.index(usual[group, choices])] += 1
    for group, choices in alone:
        usual[group, choices] = choices[max(range(len(choices)), key=places[group, len(choices)].__getitem__)]
    return {
        sample: [replace(one, usual=usual[one.group, one.choices]) for one in some] for sample, some in asked.items()
    }


def chosen(
    role: str, questions: Sequence[Question], texts: Sequence[str], pictures: tuple[Pictured, ...] = ()
) -> Asking[list[Answer]]:
    """The answers to questions as they are put in ``texts``."""
    shares = yield [
        Choose(role, text, pictures, choices=spelt(one.choices)) for one, text in zip(questions, texts, strict=True)
    ]
    said: list[Any] = [likeliest(one.choices, p) if p else p for one, p in zip(questions, shares, strict=True)]
    if left := [place for place, one in enumerate(said) if isinstance(one, Failure)]:
        written = yield [
            Ask(role, f"{texts[k]}\nAnswer with one of: {', '.join(questions[k].choices)}.", pictures,
                read=partial(choice_of, choices=questions[k].choices)) for k in left
        ]  # fmt: skip
        for place, reply in zip(left, written, strict=True):
            said[place] = reply
    if lost := [one.reason for one in said if isinstance(one, Failure) and not one.answered]:
        raise ValueError(f"the model gave no answer: {lost[0]}")
    return [
        Answer(one.group, one.text, one.answer, one.usual, None if isinstance(reply, Failure) else reply)
        for one, reply in zip(questions, said, strict=True)
    ]


def spelt(choices: Sequence[str]) -> tuple[str, ...]:
    """Choices as they are, and as a reply that begins with them is written.

    >>> spelt(("yes", "no"))
    ('yes', 'no', 'Yes', 'No')
    """
    return tuple(dict.fromkeys((*choices, *(one[:1].upper() + one[1:] for one in choices))))


def likeliest(choices: Sequence[str], shares: Sequence[float]) -> str:
    """The choice of the highest probability, its spellings together.

    >>> likeliest(("yes", "no"), (0.2, 0.3, 0.4, 0.1))
    'yes'
    """
    totals: dict[str, float] = defaultdict(float)
    for one, probability in zip(spelt(choices), shares, strict=True):
        totals[one.casefold()] += probability
    return max(choices, key=lambda one: totals[one.casefold()])


NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def choice_of(reply: Reply, choices: Sequence[str]) -> str:
    """The choice that a reply begins with, or else the only one that it names; a number may be written in digits.

    Raises ``ValueError`` where it names none, or several of which it begins with none.

    >>> [choice_of(Reply(text, "stop"), ("yes", "no")) for text in ("**Yes**, it is.", "I think no.", "No, yes.")]
    ['yes', 'no', 'no']
    >>> choice_of(Reply("There are 2.", "stop"), ("one", "two"))
    'two'
    >>> choice_of(Reply("2", "stop"), ("1", "2"))
    '2'
    >>> choice_of(Reply("Either yes or no.", "stop"), ("yes", "no"))
    Traceback (most recent call last):
    ValueError: the reply 'Either yes or no.' names several of yes, no
    """
    spelled = {str(n): word for n, word in enumerate(NUMBERS, 1) if word in choices}
    text = re.sub(r"\b\d+\b", lambda digits: spelled.get(digits[0], digits[0]), reply.text)
    longest = "|".join(re.escape(one) for one in sorted(choices, key=len, reverse=True))
    found = [one.lower() for one in re.findall(rf"(?<!\w)(?:{longest})(?!\w)", text, re.IGNORECASE)]
    first = re.match(rf"\W*(?:{longest})(?!\w)", text, re.IGNORECASE)
    if not found or (not first and len(set(found)) > 1):
        some = "several" if found else "none"
        raise ValueError(f"the reply {reply.text[:40]!r} names {some} of {', '.join(choices)}")
    return next(one for one in choices if one.lower() == found[0])


def accuracy(answers: Sequence[Answer]) -> float | None:
    """Right answers / questions; what cannot be read is wrong."""
    return share(sum(one.said == one.expected for one in answers), len(answers))


def right(name: str, answers: Iterable[Answer]) -> dict[str, float | None]:
    """Accuracy of the answers of a group, and what always giving its most frequent answer would have."""
    own = [one for one in answers if one.group == name]
    return {f"{name}_accuracy": accuracy(own), f"{name}_blind": accuracy([a._replace(said=a.usual) for a in own])}


def unreadable(name: str, answers: Sequence[Answer]) -> dict[str, float | None]:
    """Share of the answers that cannot be read."""
    return {f"{name}_unreadable": share(sum(one.said is None for one in answers), len(answers))}


def accuracies(name: str, label: str, position: int, definition: str) -> tuple[Metric, ...]:
    """The metrics of :func:`right`."""
    blind = f"share of the questions of {label} to which the most frequent right answer is right"
    return (
        Metric(f"{name}_accuracy", f"{label} accuracy", position, "answers", definition, high=1),
        Metric(f"{name}_blind", f"{label} blind", position + 1, "answers", blind, higher_is_better=None, high=1),
    )


def unread(name: str, label: str, position: int) -> Metric:
    """The metric of :func:`unreadable`."""
    said = f"share of the replies to {label} that are none of its answers"
    return Metric(
        f"{name}_unreadable", f"{label} unreadable", position, "answers", said, higher_is_better=False, high=1
    )  # fmt: skip


def objects_of(annotations: Annotations, template: str) -> list[str]:
    """What each object of a picture is called: ``template`` with the object's fields in braces.

    Raises ``ValueError`` where an object lacks one of them.

    >>> objects_of({"objects": [{"label": "ring", "color": "red"}]}, "{color} {label}")
    ['red ring']
    """
    try:
        return [template.format_map(one) for one in annotations.get("objects", ())]
    except KeyError as error:
        raise ValueError(f"an object has no {error}, which `object: {template!r}` names: name what it has") from None


def rng_of(sample: str) -> np.random.Generator:
    """Chance that hangs on a sample's name alone."""
    return np.random.default_rng(list(sample.encode()))


class OfObjects(roles.Settings):
    """``object``: what an object is called, by its fields in the annotations. ``question``: about it as ``{object}``,
    before which ``{a}`` is "a" or "an"."""

    question: str
    object: str = "{label}"

    @field_validator("object")
    @classmethod
    def _names_fields(cls, template: str) -> str:
        with suppress(ValueError):  # a brace that is not closed
            names = [name for _, name, *_ in Formatter().parse(template) if name is not None]
            if names and all(map(str.isidentifier, names)):
                return template
        raise ValueError("should name fields of an object in braces, as in {color} {shape}")

    def asked(self, name: str) -> str:
        """The question about an object."""
        return self.question.replace("{a}", "an" if name[0] in "aeiou" else "a").replace("{object}", name)
