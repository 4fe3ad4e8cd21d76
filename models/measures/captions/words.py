"""The words of captions of generated pictures: which say what is there, and which say what is not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from models.adapters import roles
from models.measures import Metric
from models.measures.captions.accounts import NONSENSE, idle, world_of
from models.measures.captions.candidates import Annotations, Candidate, CaptionMeasure, Corpus, Need, some
from models.measures.captions.claims import FAMILIES, tally


def verdicts(caption: str, annotations: Annotations) -> list[bool | None]:
    """Whether each word of a caption (cut at white space) is right; None where no claim hangs on it.

    A word is right where without it the caption makes a true claim less, and wrong where it makes an untrue one less,
    as :func:`~models.measures.captions.claims.tally` counts them. With the word that names an object its attributes and
    relations go, too: then it is the object that counts. Of two words of which either will do, the first is right.
    Raises ``ValueError`` for annotations of no generated world.

    >>> star = {"shape": "star", "color": "red", "size": "small", "texture": "plain", "box": [4, 4, 8, 8]}
    >>> verdicts("a blue star, on a sky background", {"background": "sky", "objects": [star]})
    [None, False, True, None, None, True, None]
    """
    world, words = world_of(annotations), caption.split()
    found: list[bool | None] = [None] * len(words)
    left, whole = list(words), tally(caption, annotations)

    def judge(places: Iterable[int], families: Sequence[str]) -> list[int]:
        """Judge the words that lose a claim of some families; the others' places."""
        nonlocal left, whole
        others = []
        for place in places:
            without = [*left[:place], re.sub(r"[^\W_]+", NONSENSE, words[place]), *left[place + 1 :]]
            less = tally(" ".join(without), annotations)
            family = next((one for one in FAMILIES if less[one, "whole", "said"] < whole[one, "whole", "said"]), "")
            if family not in families:
                others.append(place)
                continue
            found[place] = less[family, "whole", "right"] < whole[family, "whole", "right"]
            if not found[place]:  # it stays away, so that what it stood in for is not lost twice
                left, whole = without, less
        return others

    things, *rest = FAMILIES
    judge(judge((n for n in reversed(range(len(words))) if not idle(world, words[n])), rest), [things])
    return found


class Words(CaptionMeasure):
    """Share of right words among those on which a claim hangs; an item keeps which they are.

    ``right`` and ``wrong`` are the places of these words in the caption, cut at white space, from 0: the report colours
    them.
    """

    VERSION: ClassVar[int] = 1
    NEEDS: ClassVar[frozenset[Need]] = frozenset({"annotations"})
    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "words_right",
            "Words right",
            505,
            "other",
            "share of the words on which a claim hangs without which the caption would say something true less",
            high=1,
        ),
    )

    class Settings(roles.Settings):
        """There is nothing to set."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()
        self.fit(Corpus())

    def identity(self) -> dict[str, Any]:
        return {}

    def load(self) -> None:
        """Nothing to load."""

    def fit(self, corpus: Corpus) -> None:
        """Drop what was marked of another corpus."""
        self._marked: dict[tuple[str, str], dict[str, Any]] = {}

    def score(self, records: Sequence[Candidate]) -> list[dict[str, Any]]:
        """``words_right`` in [0, 1], None where no claim is made, and the places of ``right`` and ``wrong`` words.

        Raises as :func:`verdicts`.
        """
        for asked, record in {(record.sample, record.text): record for record in records}.items():
            if asked not in self._marked:
                found = verdicts(record.text, record.annotations)
                right, wrong = ([place for place, one in enumerate(found) if one is said] for said in (True, False))
                share = len(right) / (len(right) + len(wrong)) if right or wrong else None
                self._marked[asked] = {"words_right": share, "right": right, "wrong": wrong}
        return [self._marked[record.sample, record.text] for record in records]

    def corpus(self, records: Sequence[Candidate]) -> dict[str, Any]:
        """The mean over captions that make a claim; raises ``ValueError`` where there is no caption."""
        known = [one for item in self.score(some(records)) if (one := item["words_right"]) is not None]
        return {"words_right": sum(known) / len(known) if known else None}
