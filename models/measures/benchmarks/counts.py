"""Count questions: how many of these are in the picture?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import ClassVar

from models.measures import Metric
from models.measures.benchmarks import (
    MOST,
    NUMBERS,
    Annotations,
    Answer,
    Benchmark,
    OfObjects,
    Question,
    accuracies,
    objects_of,
    right,
    rng_of,
    unread,
    unreadable,
)


class Counts(Benchmark):
    """How many objects of a kind there are, of up to three kinds that a picture shows; of all objects together, where
    the question names no ``{object}``. Answers are from one to the most that a picture of the corpus has, ten at most.
    """

    METRICS: ClassVar[tuple[Metric, ...]] = (
        *accuracies("count", "Counts", 740, "share of the questions for a number of objects that are answered rightly"),
        unread("count", "Counts", 742),
    )
    NEEDS: ClassVar[str] = "objects"

    class Settings(OfObjects):
        question: str = "How many of these are in the image: {object}?"

    def _asked(self, pictures: Mapping[str, Annotations]) -> dict[str, list[Question]]:
        counts = {sample: self._counted(annotations) for sample, annotations in pictures.items()}
        known = [n for some in counts.values() for n in some.values() if n <= len(NUMBERS)]
        choices = NUMBERS[: max(2, *known)] if known else ()
        found = {}
        for sample, some in counts.items():
            names = [name for name in sorted(some) if some[name] <= len(choices)]
            asked = [names[place] for place in rng_of(sample).permutation(len(names))[:MOST]]
            found[sample] = [
                Question(self.settings.asked(name), NUMBERS[some[name] - 1], choices, "count") for name in asked
            ]
        return found

    def _counted(self, annotations: Annotations) -> Counter[str]:
        names = objects_of(annotations, self.settings.object)
        return Counter(names if "{object}" in self.settings.question else ["all"] * len(names))

    def values(self, answers: Sequence[Answer]) -> dict[str, float | None]:
        return right("count", answers) | unreadable("count", answers)
