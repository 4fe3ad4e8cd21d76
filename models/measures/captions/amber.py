"""AMBER: objects named, left out and made up, by lists made for each picture (Wang et al. 2023, arXiv 2311.07397)."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from models.adapters import roles
from models.measures import Metric
from models.measures.captions.candidates import Candidate, CaptionMeasure, Corpus, Need, some
from models.measures.captions.chair import numbers
from models.measures.captions.references import reference_digest

Association = Mapping[str, Sequence[str]]
"""A word and the words by which it may be meant as well."""


class Amber(CaptionMeasure):
    """AMBER of captions of its pictures: ``truth`` are the objects in a picture, ``hallu`` what it may be thought to
    show.

    A mention is *right* where it is a word of ``truth`` or may stand for one, and else made up. ``amber_chair`` is made
    up mentions / mentions, ``amber_cover`` the share of the truth that is named, ``amber_hal`` 1 for a caption that
    makes something up, ``amber_cog`` mentions of ``hallu`` / mentions, ``amber_over`` Cover − CHAIR (*RICO*, B.2).
    All are shares, None over nothing; of a corpus those of all mentions together.

    A mention covers what it says; otherwise one word that it may stand for, the first that nothing has covered yet. A
    word that truth lists twice counts once. Safe words that the picture's lists do not name are no mentions.

    ``released`` gives what the authors' program does instead: words that may be meant are looked for before the words
    themselves (so "building" can cover "wall" and leave "building" uncovered), a word listed twice cannot be covered a
    second time, a listed hallucination that is similar to something true is forgiven, safe words cover nothing and stay
    below the line of CHAIR, and Cog is the share of ``hallu`` that is named. A caption of nothing but AMBER's own truth
    has a Cover of 93.3 % by it. Its similarity is spaCy's; where ``similar`` is absent, no
    two words are similar.

    Neither variant has a tagger: every word of the vocabulary counts as a noun.
    """

    VERSION: ClassVar[int] = 1
    NEEDS: ClassVar[frozenset[Need]] = frozenset({"annotations"})
    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "amber_chair",
            "AMBER CHAIR",
            321,
            "grounding",
            "share of the objects named that are not there (Wang et al. 2023)",
            higher_is_better=False,
            high=1,
        ),
        Metric("amber_cover", "AMBER Cover", 322, "grounding", "share of the objects there that are named", high=1),
        Metric(
            "amber_hal",
            "AMBER Hal",
            323,
            "grounding",
            "share of captions that name an object that is not there",
            higher_is_better=False,
            high=1,
        ),
        Metric(
            "amber_cog",
            "AMBER Cog",
            324,
            "grounding",
            "share of the objects named that people would expect there in vain",
            higher_is_better=False,
            high=1,
        ),
        Metric("amber_over", "AMBER Cover − CHAIR", 325, "grounding", "Cover − CHAIR (RICO, B.2)", low=-1, high=1),
    )

    class Settings(roles.Settings):
        """``association`` and ``safe_words`` are files of the release's ``data``: ``relation.json`` and
        ``safe_words.txt``. ``similar``: a JSON file in the form of the first, of words with a similarity above 0.8."""

        association: Path
        safe_words: Path
        similar: Path | None = None
        released: bool = False

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        """Digests of the words, and the variant; raises ``FileNotFoundError`` or ``ValueError`` for a wrong file."""
        said = self.settings
        words = _association(said.association), {"": sorted(_safe(said.safe_words))}, _similar(said)
        named = dict(zip(("association", "safe_words", "similar"), map(reference_digest, words), strict=True))
        return {**named, "released": said.released}

    def load(self) -> None:
        """Nothing to load."""

    def fit(self, corpus: Corpus) -> None:
        """Read the words; raises ``ValueError`` where a sample has no lists of AMBER."""
        for sample, one in corpus.annotations.items():
            if not isinstance(one.get("truth"), list) or not isinstance(one.get("hallu"), list):
                raise ValueError(
                    f"AMBER needs lists `truth` and `hallu` of each picture, and {sample!r} has none: name a corpus "
                    "with adapter amber under `corpora`"
                )
        self._associated = _association(self.settings.association)
        self._similar = _similar(self.settings)
        self._safe = _safe(self.settings.safe_words)
        self._words = vocabulary(self._associated)

    def score(self, records: Sequence[Candidate]) -> list[dict[str, Any]]:
        """Metric -> value of each caption."""
        return [ratios(self._counted(record), self.settings.released) for record in records]

    def corpus(self, records: Sequence[Candidate]) -> dict[str, Any]:
        """Values of all captions together; raises ValueError where there is no caption."""
        total: Counter[str] = Counter()
        for record in some(records):
            total.update(self._counted(record))
        return ratios(total, self.settings.released)

    def _counted(self, record: Candidate) -> Counter[str]:
        said = mentions(record.text, self._words)
        truth, hallu = record.annotations["truth"], record.annotations["hallu"]
        ignored = self._safe.difference(truth, hallu)
        if self.settings.released:
            return released(said, truth, hallu, self._associated, self._safe, self._similar)
        return counted([word for word in said if word not in ignored], truth, hallu, self._associated, self._similar)


def ratios(counts: Mapping[str, int], as_released: bool = False) -> dict[str, float | None]:
    """The metrics of what was counted: ``captions`` with something made up (``with``), ``said`` and ``invented``
    mentions, ``true`` and ``covered`` words of truth, ``expected`` words of hallu and ``fancied`` mentions of them.
    """

    def ratio(above: str, below: str) -> float | None:
        return counts[above] / counts[below] if counts[below] else None

    chair, cover = ratio("invented", "said"), ratio("covered", "true")
    return {
        "amber_chair": chair,
        "amber_cover": cover,
        "amber_hal": ratio("with", "captions"),
        "amber_cog": ratio("fancied", "expected" if as_released else "said"),
        "amber_over": None if chair is None or cover is None else cover - chair,
    }


def counted(
    said: Sequence[str], truth: Sequence[str], hallu: Sequence[str], associated: Association, similar: Association
) -> Counter[str]:
    """Count the mentions of a caption against the lists of its picture.

    >>> relation = {"wall": ["building"], "building": [], "dog": []}
    >>> counts = counted(["building", "dog"], ["wall", "building"], ["dog"], relation, {})
    >>> counts["covered"], counts["invented"], counts["fancied"]
    (1, 1, 1)
    """
    listed = list(dict.fromkeys(truth))
    covered: set[str] = set()
    invented = fancied = 0
    for word in said:
        meant = [one for one in listed if word in associated.get(one, ())]
        alike = [one for one in listed if one in similar.get(word, ())]
        if word in listed:
            covered.add(word)
        elif word in hallu:
            invented, fancied = invented + 1, fancied + 1
        elif found := meant or alike:
            covered.add(next((one for one in found if one not in covered), found[0]))
        else:
            invented += 1
            fancied += any(word in associated.get(one, ()) or one in similar.get(word, ()) for one in hallu)
    return _counts(len(said), invented, len(listed), len(covered), len(set(hallu)), fancied)


def released(
    said: Sequence[str],
    truth: Sequence[str],
    hallu: Sequence[str],
    associated: Association,
    safe: frozenset[str],
    similar: Association,
) -> Counter[str]:
    """Count as the authors' program does (``inference.py``), position by position of the lists.

    >>> relation = {"wall": ["building"], "building": [], "dog": []}
    >>> counts = released(["building", "dog"], ["wall", "building"], ["dog"], relation, frozenset(), {})
    >>> counts["covered"], counts["invented"], counts["fancied"]
    (1, 1, 1)
    """
    covered: set[int] = set()
    fancied: set[int | None] = set()
    invented = 0
    true, false = _places(truth, associated), _places(hallu, associated)
    for word in said:
        alike = {word, *similar.get(word, ())}
        if word in safe:
            continue
        if (place := _first(true, {word})) is not None:
            covered.add(place)
            continue
        fancied |= {_first(false, {word}), _first(false, alike)}
        if (place := _first(true, alike)) is not None:
            covered.add(place)
        else:
            invented += 1
    return _counts(len(said), invented, len(truth), len(covered), len(hallu), len(fancied - {None}))


def _counts(said: int, invented: int, true: int, covered: int, expected: int, fancied: int) -> Counter[str]:
    return Counter(
        {"captions": 1, "with": int(invented > 0), "said": said, "invented": invented}
        | {"true": true, "covered": covered, "expected": expected, "fancied": fancied}
    )


def _places(listed: Sequence[str], associated: Association) -> list[tuple[str, int]]:
    """The words that are looked for, in the program's order, with the place in the list that each ticks off."""
    meant = [(word, place) for place, one in enumerate(listed) for word in associated.get(one, ())]
    return [*meant, *((one, place) for place, one in enumerate(listed))]


def _first(places: Sequence[tuple[str, int]], words: Collection[str]) -> int | None:
    return next((place for one, place in places if one in words), None)


def mentions(caption: str, words: Mapping[str, str]) -> list[str]:
    """The words of a vocabulary that a text mentions, in its order.

    >>> mentions("Two dogs; a TV, an e-book.", vocabulary({"dog": ["puppy"], "TV": [], "e-book": []}))
    ['dog', 'TV', 'e-book']
    """
    return [words[one] for one in re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)*", caption.lower()) if one in words]


def vocabulary(associated: Association) -> dict[str, str]:
    """Every form of the words of an association -> the word; a word is never the plural of another."""
    words = list(dict.fromkeys(word for one, others in associated.items() for word in (one, *others)))
    plurals = {plural.lower(): word for word in words for plural in numbers(word)}
    return plurals | {word.lower(): word for word in words}


def _association(path: Path) -> dict[str, list[str]]:
    try:
        listed = json.loads(_read(path))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error}): take AMBER's `relation.json`.") from error
    if not isinstance(listed, dict) or not all(isinstance(words, list) for words in listed.values()):
        raise ValueError(f"{path} is no association: expected words with lists of words, as in `relation.json`.")
    return listed


def _similar(settings: Amber.Settings) -> dict[str, list[str]]:
    return _association(settings.similar) if settings.similar else {}


def _safe(path: Path) -> frozenset[str]:
    return frozenset(_read(path).split())


def _read(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}: AMBER's words lie in `data` of its release.")
    return path.read_text(encoding="utf-8")
