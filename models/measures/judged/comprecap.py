"""CompreCap: objects, their attributes and relations that a caption tells of a picture, by a graph that people wrote
(Lu et al. 2024, arXiv 2412.08614)."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Collection, Mapping, Sequence
from operator import mul
from statistics import fmean
from typing import Any, ClassVar, NamedTuple

import numpy as np

from models.adapters import roles
from models.adapters.requests import Ask, Asking, Choose, Embed, Request
from models.adapters.roles import Reply
from models.measures import Metric
from models.measures.captions.candidates import Candidate, Need
from models.measures.captions.wordnet import lemma
from models.measures.judged import JudgedMeasure, given, mean, share
from models.recaptioners import filled
from models.recaptioners.sentences import FUNCTION_WORDS, WORD, sentences

RATING = """\
Does the text say what the phrase says? Rate from 0, nothing like it, to 5, all of it. Write a single number.
Text: {text}
Phrase: {phrase}"""
RELATION = """\
Does the text say that things stand to each other as the phrase says? Rate from 0, nothing like it, to 5, all of it. \
Write a single number.
Text: {text}
Phrase: {phrase}"""

RATINGS = ("0", "1", "2", "3", "4", "5")


class Told(NamedTuple):
    """What a caption tells: how sure it names each category, in [0, 1]; ratings from 0 to 5 of attributes and of
    relations, None where one cannot be read; the share of the objects' pixels, by how well these are described."""

    objects: dict[str, float]
    attributes: list[float | None]
    relations: list[float | None]
    pixels: float | None


def rating(reply: Reply) -> float:
    """The first number of a reply; raises ValueError where it is no integer from 0 to 5.

    >>> rating(Reply("Score: 4/5", "stop"))
    4.0
    >>> rating(Reply("10", "stop"))
    Traceback (most recent call last):
    ValueError: the reply '10' is no rating from 0 to 5
    """
    found = re.search(r"\d+(?:\.\d+)?", reply.text)
    if not found or found[0] not in "012345":
        raise ValueError(f"the reply {reply.text[:40]!r} is no rating from 0 to 5")
    return float(found[0])


def released_rating(reply: Reply) -> float:
    """The first digits of a reply, whatever number they are, and −1 where there are none, as the authors' program does.

    >>> released_rating(Reply("10", "stop")), released_rating(Reply("Fully.", "stop"))
    (10.0, -1.0)
    """
    found = re.search(r"\d+", reply.text)
    return float(found[0]) if found else -1.0


def unified(objects: float, attributes: float, relations: float) -> float:
    """0.25 objects (a share, in percent) + 0.35 · 20 attributes + 0.40 · 20 relations (from 0 to 5): out of 100.

    >>> round(unified(0.6982, 2.66, 2.81), 2)
    58.56
    """
    return 0.25 * 100 * objects + 0.35 * 20 * attributes + 0.40 * 20 * relations


def mutual(cosines: np.ndarray) -> np.ndarray:
    """Where a row and a column are each other's most alike, (rows, columns) bool.

    >>> mutual(np.array([[0.9, 0.2], [0.8, 0.1]])).tolist()
    [[True, False], [False, False]]
    """
    if not cosines.size:
        return np.zeros(cosines.shape, bool)
    return (cosines == cosines.max(0, keepdims=True)) & (cosines == cosines.max(1, keepdims=True))


def covered(masks: Sequence[str], ratings: Sequence[float]) -> float | None:
    """The share of the pixels of objects that a caption describes, each as its object's rating out of 5, at most 1.

    Masks are as the release has them, base64 of zlib of a byte a pixel.

    >>> one, both = (base64.b64encode(zlib.compress(bytes(pixels))).decode() for pixels in ([1, 0], [1, 1]))
    >>> covered([one, both], [5.0, 2.5])
    0.75
    """
    seen, there = np.zeros(1), np.zeros(1, bool)
    for mask, score in zip(masks, ratings, strict=True):
        pixels = np.frombuffer(zlib.decompress(base64.b64decode(mask)), np.uint8) > 0
        seen, there = (seen + pixels * score / 5).clip(0, 1), there | pixels
    return share(float(seen.sum()), int(there.sum()))


class CompreCap(JudgedMeasure):
    """CompreCap of captions of its pictures; of a corpus the means over captions, and the unified score of these means.

    A category is *named* where it and a word of the caption are each other's most alike, by an embedder; its likeness
    is what ``comprecap_objects`` is the mean of, 0 where it is not named. A language model rates from 0 to 5 how well
    what is said of each object is told by the sentences that name it, and each relation by those that name either end;
    0 where there are none. What it gives no rating that can be read for is left out, and counted. The paper asks a
    tagger for nouns; here words are those of open classes. With ``choose``, a rating is the mean of 0 to 5 by their
    probabilities, and none is unreadable.

    ``released`` is what the authors' program does instead: sentences end at every point, so at that of "3.5"; any
    number is a rating, and none is −1; an object without relations moves those behind it to the sentences of another;
    a relation is told by the sentences of those before it as well; an end is named where its letters are; and a
    sentence that names an object twice is read twice.
    """

    VERSION: ClassVar[int] = 1
    NEEDS: ClassVar[frozenset[Need]] = frozenset({"annotations"})
    ROLES: ClassVar[Mapping[str, str]] = {"judge": "chat", "embedder": "embedders"}
    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "comprecap_unified",
            "CompreCap",
            361,
            "grounding",
            "0.25 objects + 0.35 attributes + 0.40 relations, each out of 100 (Lu et al. 2024)",
            high=100,
            decimals=2,
            checkpoint=True,
        ),
        Metric(
            "comprecap_objects",
            "CompreCap objects",
            362,
            "grounding",
            "likeness of the categories in the picture to the caption's words, where it is mutual",
            high=1,
            checkpoint=True,
        ),
        Metric(
            "comprecap_pixels",
            "CompreCap pixels",
            363,
            "grounding",
            "share of the objects' pixels that are described, by the ratings of their attributes",
            high=1,
            checkpoint=True,
        ),
        Metric(
            "comprecap_attributes",
            "CompreCap attributes",
            364,
            "grounding",
            "rating of what is told of each object, from 0 to 5",
            high=5,
            decimals=2,
            checkpoint=True,
        ),
        Metric(
            "comprecap_relations",
            "CompreCap relations",
            365,
            "grounding",
            "rating of what is told of each relation, from 0 to 5",
            high=5,
            decimals=2,
            checkpoint=True,
        ),
        Metric(
            "comprecap_unreadable",
            "CompreCap unreadable",
            586,
            "other",
            "share of attributes and relations whose rating cannot be read",
            higher_is_better=False,
            high=1,
            checkpoint=True,
        ),
    )

    class Settings(roles.Settings):
        rating: str = RATING
        relation: str = RELATION
        choose: bool = False
        released: bool = False

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        return self.settings.model_dump()

    def judge(self, record: Candidate) -> Asking[Told]:
        things = record.annotations.get("graph")
        if not things:
            raise ValueError(
                f"{record.sample!r} has no `graph` in its annotations: name corpora with adapter comprecap under "
                "`corpora` of the entry"
            )
        parts = self._sentences(record.text)
        named = [_words(part) for part in parts]
        words, categories = sorted(set().union(*named)), list(dict.fromkeys(one["category"] for one in things))
        texts = list(dict.fromkeys((*categories, *words)))
        vectors = dict(zip(texts, map(given, (yield [Embed("embedder", text) for text in texts])), strict=True))
        cosines = np.array([[float(vectors[one] @ vectors[word]) for word in words] for one in categories])
        cosines = cosines.reshape(len(categories), len(words))
        match = mutual(cosines)
        where: dict[str, Collection[int]] = {}
        for category, row in zip(categories, match, strict=True):
            names = {words[n] for n in np.flatnonzero(row)}
            told = [place for place, some in enumerate(named) for word in some if word in names]
            where[category] = told if self.settings.released else set(told)
        likeness = np.where(match, cosines, 0).max(1, initial=0).clip(0, 1)
        attributes = [(one["description"], where[one["category"]]) for one in things]
        relations = self._relations(things, where)
        rated = yield from self._rated(parts, attributes, self.settings.rating)
        tied = yield from self._rated(parts, relations, self.settings.relation)
        seen = [(one["mask"], score) for one, score in zip(things, rated, strict=True) if score is not None]
        pixels = covered([mask for mask, _ in seen], [score for _, score in seen])
        return Told(dict(zip(categories, likeness.tolist(), strict=True)), rated, tied, pixels)

    def _sentences(self, text: str) -> list[str]:
        if self.settings.released:
            return [part for one in re.split(r"\n|\\n|</s>|[.]", text) if (part := one.strip())]
        return sentences(text)

    def _relations(
        self, things: Sequence[Mapping[str, Any]], where: Mapping[str, Collection[int]]
    ) -> list[tuple[str, set[int]]]:
        """The relations, each with the sentences that name either of its ends."""
        said: list[str] = []
        told: list[set[int]] = []
        for place, thing in enumerate(things):
            others = {one["category"] for n, one in enumerate(things) if n != place}
            own = set(where[thing["category"]])
            for relation in thing["relations"]:
                ends = own.union(*(where[one] for one in others if self._names(relation, one)))
                said.append(relation)
                told.append(ends)
                own = ends if self.settings.released else own
            if self.settings.released and not thing["relations"]:
                told.append(set())
        return list(zip(said, told, strict=not self.settings.released))

    def _names(self, relation: str, category: str) -> bool:
        if self.settings.released:
            return category in relation
        return f" {lemma(category.lower())} " in f" {' '.join(_words(relation))} "

    def _rated(
        self, parts: Sequence[str], phrases: Sequence[tuple[str, Collection[int]]], prompt: str
    ) -> Asking[list[float | None]]:
        """Ratings of phrases by some of the sentences; 0 where there are none."""
        between = ". " if self.settings.released else " "
        texts = [
            filled(prompt, text=between.join(parts[n] for n in sorted(told)), phrase=phrase)
            for phrase, told in phrases
            if told
        ]
        replies = iter(map(given, (yield [self._asked(text) for text in texts])))
        return [self._rating(next(replies)) if told else 0.0 for _, told in phrases]

    def _asked(self, text: str) -> Request:
        if self.settings.choose:
            return Choose("judge", text, choices=RATINGS)
        return Ask("judge", text, read=released_rating if self.settings.released else rating)

    def _rating(self, reply: Any) -> float | None:
        return sum(map(mul, range(6), reply)) if self.settings.choose else reply

    def values(self, answered: Sequence[Told]) -> dict[str, float | None]:
        ratings = [one for told in answered for one in (*told.attributes, *told.relations)]
        objects = fmean(fmean(told.objects.values()) for told in answered)
        attributes = mean([mean(told.attributes) for told in answered])
        relations = mean([mean(told.relations) for told in answered])
        whole = None if attributes is None or relations is None else unified(objects, attributes, relations)
        return {
            "comprecap_unified": whole,
            "comprecap_objects": objects,
            "comprecap_pixels": mean([told.pixels for told in answered]),
            "comprecap_attributes": attributes,
            "comprecap_relations": relations,
            "comprecap_unreadable": share(sum(one is None for one in ratings), len(ratings)),
        }


def _words(text: str) -> list[str]:
    """The words of open classes of a text, in base forms."""
    some = (one.group() for one in WORD.finditer(text.lower()))
    return [lemma(word) for word in some if word not in FUNCTION_WORDS and not word.isdigit()]
