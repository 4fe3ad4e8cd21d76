"""Captions of a stated precision and recall, composed of sentences about the parts of a picture.

After *Precision or Recall?* (arXiv 2411.05079), section 3: a caption is a base caption and so many sub-captions about
parts of the picture (its *recall*), of which a share is true and the others negative (its *precision*). The released
program tosses a coin for every sentence; here the shares are exact, and chosen by a seed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from models.adapters.settings import Settings, unknown, validated
from models.worlds import edits

ANY = "any"
"""Negatives of every kind."""


class Part(NamedTuple):
    """What is told of a part of a picture: a true sentence, and false ones by their kind, with CLIP's scores, where
    they are known, by kind and number (``basic_0``), as DCI has them."""

    true: str
    negatives: Mapping[str, Sequence[str]]
    scores: Mapping[str, float] = {}


class Told(NamedTuple):
    """A part as it is told: the true sentence, and the false one of this kind that may take its place."""

    true: str
    false: str
    kind: str


class Composition(Settings):
    """A caption of ``recall`` sub-captions beside the base caption, of whose sentences ``precision`` percent are true.

    Which sentences are false hangs on ``seed`` alone: what is false at one precision is so at every lower one, up to
    the rounding, and what is false with few sub-captions is so with more of them.
    """

    VERSION: ClassVar[int] = 1
    """Raised when the same parts give another caption."""
    KINDS: ClassVar[tuple[str, ...]]
    """Kinds of negatives."""

    kind: str
    precision: float = Field(100, ge=0, le=100)
    recall: int = Field(0, ge=0)
    negatives: str = ANY
    """The kind of the false sentences, or any."""
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _known_negatives(self) -> Composition:
        if self.negatives not in (ANY, *self.KINDS):
            raise ValueError(unknown("kind of negatives", self.negatives, (ANY, *self.KINDS)).rstrip("."))
        return self

    def identity(self) -> dict[str, Any]:
        """Part of a caption's key, beside what the picture shows and which of its sentences are false.

        >>> Edits(precision=25, recall=1).identity()
        {'kind': 'edits', 'negatives': 'any', 'seed': 0, 'version': 1, 'edits': 1}
        """
        return {**self.model_dump(exclude={"precision", "recall"}), "version": self.VERSION}

    def parts(self, annotations: Mapping[str, Any], rng: np.random.Generator) -> list[Part]:
        """The parts of a picture, the base caption first; raises ``ValueError`` where the annotations have none."""
        raise NotImplementedError

    def told(self, annotations: Mapping[str, Any], picture: str) -> list[Told]:
        """The base caption and the sub-captions that can be told truly and falsely; nothing where the base cannot.

        ``picture``, its digest, seeds what is chosen.
        """
        seeded = hashlib.sha256(f"{self.seed} {picture}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(seeded[:8], "big"))
        base, *rest = (self.chosen(part, rng) for part in self.parts(annotations, rng))
        return [base, *filter(None, rest)] if base else []

    def chosen(self, part: Part, rng: np.random.Generator) -> Told | None:
        """A part with one of the false sentences that it has of the kind wanted; None where it has none."""
        found = {
            f"{kind}_{number}": (text, kind)
            for kind in self.KINDS if self.negatives in (ANY, kind)
            for number, text in enumerate(part.negatives.get(kind, ()))
            if text and text != part.true
        }  # fmt: skip
        name = self.pick(sorted(found), part.scores, rng)
        return Told(part.true, *found[name]) if name else None

    def pick(self, names: Sequence[str], scores: Mapping[str, float], rng: np.random.Generator) -> str | None:
        """One of some negatives, by name; None of none."""
        return names[int(rng.integers(len(names)))] if names else None


class Edits(Composition):
    """Sentences about a generated scene, made false by exact edits of its graph (:mod:`models.worlds.edits`)."""

    KINDS = edits.EDITS
    kind: Literal["edits"] = "edits"

    def identity(self) -> dict[str, Any]:
        """That of every composition, and the version of the edits."""
        return {**super().identity(), "edits": edits.VERSION}

    def parts(self, annotations: Mapping[str, Any], rng: np.random.Generator) -> list[Part]:
        if not {"background", "objects"} <= annotations.keys() or "target" in annotations:
            raise ValueError("its pictures are no scenes, whose graph could be edited: take a corpus of `scenes`")
        found = edits.parts(dict(annotations), rng)
        return [Part(one.true.text, {edit: [said.text] for edit, said in one.false.items()}) for one in found]


class Dci(Composition):
    """DCI's summaries of a photograph and of its masks, from the largest to the smallest, and its own negatives."""

    KINDS = ("basic", "layout", "swaps")
    kind: Literal["dci"] = "dci"

    choice: Literal["random", "first", "hardest", "easiest"] = "random"
    """Which negative of a sentence is taken: any, its first, or that with CLIP's highest or lowest score (Captions4T2I
    takes the lowest and calls it hard)."""

    def parts(self, annotations: Mapping[str, Any], rng: np.random.Generator) -> list[Part]:
        if "parts" not in annotations:
            raise ValueError("nothing is known of its pictures' parts: take a corpus of `dci` with `parts: true`")
        return [Part(one["text"], one["negatives"], one["scores"]) for one in annotations["parts"]]

    def pick(self, names: Sequence[str], scores: Mapping[str, float], rng: np.random.Generator) -> str | None:
        if self.choice == "random":
            return super().pick(names, scores, rng)
        if self.choice == "first":
            return names[0] if names else None
        scored = sorted((name for name in names if name in scores), key=lambda name: (scores[name], name))
        return scored[-(self.choice == "hardest")] if scored else None


class Said(Settings):
    """What a captioner of the study said of the originals or, where one is named, a recaptioner made of that."""

    VERSION: ClassVar[int] = 1
    kind: Literal["captions"] = "captions"
    captioner: str
    recaptioner: str | None = None

    def identity(self) -> dict[str, Any]:
        """Part of a caption's key, beside the picture and the caption itself: who said it is of no account."""
        return {"kind": self.kind, "version": self.VERSION}


KINDS: dict[str, type[Edits | Dci | Said]] = {"edits": Edits, "dci": Dci, "captions": Said}


def composition(name: str, settings: Mapping[str, Any]) -> Edits | Dci | Said:
    """The composition of an entry of ``captions``; raises ``ValueError`` for what is wrong with it.

    >>> composition("mine", {"kind": "edits", "negatives": "colour"})
    Traceback (most recent call last):
    ValueError: mine: There is no kind of negatives "colour"; did you mean "color"? Known: any, background, color, \
object, relation, shape, size, texture.
    """
    if settings.get("kind") not in KINDS:
        raise ValueError(unknown(f"kind of captions (entry {name})", settings.get("kind"), KINDS))
    return validated(name, KINDS[settings["kind"]], settings)


def false_at(samples: Sequence[str], how: Composition) -> Iterator[set[str]]:
    """The samples whose sentence is false, for the base caption and then sub-caption by sub-caption.

    Of all sentences just the share is false that ``precision`` says, to the nearest sentence; and of those at one place
    as well, to one sentence.

    >>> [sorted(some) for some in false_at(["a", "b", "c", "d"], Edits(precision=25, recall=1))]
    [['a', 'b', 'c'], ['a', 'b', 'c']]
    """
    share = 1 - how.precision / 100
    for place in range(how.recall + 1):
        upto, before = (int(len(samples) * many * share + 0.5) for many in (place + 1, place))
        yield set(sorted(samples, key=lambda sample: _rank(how.seed, place, sample))[: upto - before])


def _rank(seed: int, place: int, sample: str) -> bytes:
    return hashlib.sha256(json.dumps([seed, place, sample]).encode()).digest()


def composed(told: Sequence[Told], false: Sequence[bool], of: int) -> dict[str, Any]:
    """The caption of some parts, of ``of`` that the picture has, and which of its sentences are false.

    ``precision`` is the share of true sentences, ``recall`` the share of the picture's parts that are told truly.

    >>> made = composed([Told("A ring.", "A star.", "shape"), Told("It is red.", "It is blue.", "color")], [0, 1], 4)
    >>> made["caption"], made["sentences"][1], made["precision"], made["recall"]
    ('A ring. It is blue.', {'text': 'It is blue.', 'negative': True, 'kind': 'color'}, 0.5, 0.25)
    """
    sentences = [
        {"text": one.false if wrong else one.true, "negative": bool(wrong), "kind": one.kind if wrong else None}
        for one, wrong in zip(told, false, strict=True)
    ]
    true = sum(not one["negative"] for one in sentences)
    caption = " ".join(str(one["text"]) for one in sentences)
    return {"caption": caption, "sentences": sentences, "precision": true / len(told), "recall": true / of}
