"""CHAIR: objects that a caption names and the photograph does not show (Rohrbach et al. 2018, arXiv 1809.02156)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from models.adapters import roles
from models.adapters.settings import unknown
from models.measures import Metric
from models.measures.captions.candidates import Candidate, CaptionMeasure, Corpus, Need, some
from models.measures.captions.references import reference_digest
from models.measures.regions import REGIONS, lies_inside
from models.media.images import decode_mask

OURS = Path(__file__).with_name("coco_objects.txt")
NO_OBJECT = "-"

ANIMALS = ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe")
AGES = ("baby", "adult")
"""Words that name a person, but not before an animal."""

IRREGULAR = {"person": "people", "child": "children", "goose": "geese", "mouse": "mice", "ox": "oxen", "wife": "wives",
             "knife": "knives", "calf": "calves", "thief": "thieves"}  # fmt: skip

Words = Mapping[tuple[str, ...], str]
"""Phrases, as words, and the category that each names."""


class Chair(CaptionMeasure):
    """CHAIR of captions of photographs with the annotated boxes of COCO's 80 categories.

    An object is *in* a photograph if its category is annotated there or a reference names it (section 2.2). Every
    mention in a caption counts, repeated ones too.

    ``chair_i`` is hallucinated mentions / mentions, None where a caption mentions none of the categories; ``chair_s``
    is 1 for a caption with a hallucinated object, else 0. For a corpus ``chair_i`` is that of all mentions together,
    as in the paper, and ``chair_s`` the share of captions.

    ``chair_recall``, which is not in the paper, is the share of the categories in the photograph that the caption names
    (of a corpus, all together); for ``region`` and ``outside`` of the categories of which all annotated boxes lie
    there, in ``region`` with half of their area or more. What a caption makes up has no place, and what is on both
    sides neither.

    The words are all that is looked at: an "orange shirt" is a mention of the fruit, as it is for the authors' program.
    ``released`` is what that does beside: a word behind two blanks of its list is never found, so that "cheesecake" and
    "motor bike" are no mentions.
    """

    VERSION: ClassVar[int] = 1
    NEEDS: ClassVar[frozenset[Need]] = frozenset({"references", "annotations", "mask"})
    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "chair_i",
            "CHAIR-i",
            311,
            "grounding",
            "share of the objects named that are not there (Rohrbach et al. 2018)",
            higher_is_better=False,
            high=1,
        ),
        Metric(
            "chair_s",
            "CHAIR-s",
            312,
            "grounding",
            "share of captions that name such an object",
            higher_is_better=False,
            high=1,
        ),
        Metric(
            "chair_recall",
            "Recall of annotated objects",
            511,
            "other",
            "share of the categories there that the caption names",
            high=1,
            regional=True,
        ),
    )

    class Settings(roles.Settings):
        """``synonyms``: a text file, a line a category: its name and other words for it, between commas. Where absent,
        this project's own list; published values were made with ``data/synonyms.txt`` of LisaAnne/Hallucination."""

        synonyms: Path = OURS
        released: bool = False

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()

    def identity(self) -> dict[str, Any]:
        """Digest of the synonyms; raises as :func:`read_words`."""
        words = self._read()
        return {"synonyms": reference_digest({" ".join(phrase): [name] for phrase, name in words.items()})}

    def load(self) -> None:
        """Nothing to load."""

    def _read(self) -> Words:
        return read_words(self.settings.synonyms, self.settings.released)

    def fit(self, corpus: Corpus) -> None:
        """Look over the annotations of a corpus, and drop what was counted of another.

        A photograph without boxes shows what its references name, and no more.

        Raises
        ------
        ValueError
            No photograph has boxes, or one has a label that is no category of COCO (naming the nearest).
        """
        objects = [thing for one in corpus.annotations.values() for thing in one.get("objects", ())]
        if not objects:
            raise ValueError(
                "CHAIR needs photographs with annotated objects, and these have none: name a corpus with COCO's boxes "
                "under `corpora`"
            )
        self._words = self._read()
        categories = set(self._words.values()) - {NO_OBJECT}
        for label in {thing["label"] for thing in objects}:
            if label not in categories:
                raise ValueError(unknown("category of COCO", label, categories))
        self._truths: dict[tuple[str, bytes | None], dict[str, frozenset[str]]] = {}

    def score(self, records: Sequence[Candidate]) -> list[dict[str, Any]]:
        """Metric -> value of each caption; ``chair_recall`` -> region -> value."""
        return [self._values([record]) for record in records]

    def corpus(self, records: Sequence[Candidate]) -> dict[str, Any]:
        """Values of all captions as one corpus; raises ValueError where there is no caption."""
        return self._values(some(records))

    def _values(self, records: Sequence[Candidate]) -> dict[str, Any]:
        said = [(mentions(record.text, self._words), self._truth(record)) for record in records]
        total = sum(len(names) for names, _ in said)
        invented = [sum(name not in true["whole"] for name in names) for names, true in said]
        recall = {}
        for region in (region for region in REGIONS if any(region in true for _, true in said)):
            there = [(true.get(region, frozenset()), names) for names, true in said]
            count = sum(len(true) for true, _ in there)
            recall[region] = sum(len(true.intersection(names)) for true, names in there) / count if count else None
        return {
            "chair_i": sum(invented) / total if total else None,
            "chair_s": sum(map(bool, invented)) / len(said),
            "chair_recall": recall,
        }

    def _truth(self, record: Candidate) -> dict[str, frozenset[str]]:
        asked = record.sample, record.mask
        if asked not in self._truths:
            region = None if record.mask is None else decode_mask(record.mask)
            named = frozenset(name for text in record.references for name in mentions(text, self._words))
            self._truths[asked] = truth(record.annotations.get("objects", ()), named, region)
        return self._truths[asked]


def truth(
    objects: Sequence[Mapping[str, Any]], named: frozenset[str], mask: np.ndarray | None = None
) -> dict[str, frozenset[str]]:
    """The categories in a photograph: all, and where it has a mask (H, W) those of which every box lies in a region.

    >>> dog = {"label": "dog", "box": [0, 0, 2, 2]}
    >>> {region: sorted(names) for region, names in truth([dog], frozenset({"couch"}), np.eye(4) > 0).items()}
    {'whole': ['couch', 'dog'], 'region': ['dog'], 'outside': []}
    """
    found = {"whole": named.union(thing["label"] for thing in objects)}
    if mask is not None:
        inside, outside = (
            frozenset(thing["label"] for thing in objects if lies_inside(thing["box"], mask) == within)
            for within in (True, False)
        )
        found |= {"region": inside - outside, "outside": outside - inside}
    return found


def mentions(caption: str, words: Words) -> list[str]:
    """The categories that a text names, in its order; of phrases that overlap the first, and of these the longest.

    >>> mentions("Two men and a baby elephant by the train tracks; a fire truck.", read_words())
    ['person', 'elephant', 'truck']
    """
    text = re.findall(r"[a-z0-9]+", caption.lower())
    longest = max(map(len, words))
    found, start = [], 0
    while start < len(text):
        phrases = (tuple(text[start : start + length]) for length in range(longest, 0, -1))
        phrase = next((phrase for phrase in phrases if phrase in words), text[start : start + 1])
        name = words.get(tuple(phrase), NO_OBJECT)
        if name != NO_OBJECT:
            found.append(name)
        start += len(phrase)
    return found


@cache
def read_words(path: Path = OURS, released: bool = False) -> Words:
    """The phrases of a file of synonyms, singular and plural, and "baby" or "adult" with every animal; as ``released``
    without those that stand behind two blanks.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        A phrase stands in two of its lines.

    >>> words = read_words()
    >>> words["men",], words["wine", "glasses"], words["baby", "zebras"]
    ('person', 'wine glass', 'zebra')
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of synonyms '{path}': set `synonyms`, or leave it out for our own.")
    words: dict[tuple[str, ...], str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, *others = line.partition("#")[0].lower().split(",")
        known = (one for one in others if not (released and one.startswith("  ")))
        name, *others = (" ".join(entry.split()) for entry in (name, *known))
        for entry in filter(None, (name, *others)):
            for phrase in ((*entry.split()[:-1], last) for last in numbers(entry.split()[-1])):
                aged = [(age, *phrase) for age in AGES] if name in ANIMALS else []
                for one in (phrase, *aged):
                    if words.setdefault(one, name) != name:
                        raise ValueError(f"'{path}' lists \"{' '.join(one)}\" under {words[one]} and {name}: keep one.")
    return words


def numbers(noun: str) -> list[str]:
    """A noun and its plurals, those that it might have as well as those that it has.

    >>> numbers("woman"), numbers("bus"), numbers("puppy"), numbers("knife")
    (['woman', 'women'], ['bus', 'buses'], ['puppy', 'puppies'], ['knife', 'knives'])
    """
    if noun in IRREGULAR:
        return [noun, IRREGULAR[noun]]
    if noun.endswith("man") and noun != "human":
        return [noun, f"{noun[:-3]}men"]
    if re.search("[^aeiou]y$", noun):
        return [noun, f"{noun[:-1]}ies"]
    if re.search("(s|x|z|ch|sh)$", noun):
        return [noun, f"{noun}es"]
    return [noun, f"{noun}s", *([f"{noun}es"] if noun.endswith("o") else [])]
