"""Several captions of one picture as one: the first of them, the mean of their scores, or the best of them.

The inpainting paper generates three candidates (appendix D) and scores "each generated caption" (appendix C), and does
not say how three scores become one. ``first`` is what a captioner gives as its caption; ``mean`` is what a caption of
it is worth on average; ``best`` is what the best of them is worth, by each metric its own, which nobody can choose who
does not know the references.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, Protocol

from models.measures import Metric
from models.measures.captions.candidates import Candidate
from models.measures.regions import columns, flat

Scores = Mapping[str, float | None]
"""Column -> value of one caption."""


class Scoring(Protocol):
    """What is asked of a measure of captions here."""

    @property
    def metrics(self) -> tuple[Metric, ...]: ...

    def score(self, records: Sequence[Candidate]) -> list[dict[str, Any]]: ...

    def corpus(self, records: Sequence[Candidate]) -> dict[str, Any]: ...


def rising(metrics: Iterable[Metric]) -> dict[str, bool]:
    """Whether a higher value is better, by column."""
    return {column: metric.higher_is_better is not False for metric in metrics for column in columns([metric])}


def best(scores: Sequence[Scores], column: str, higher: bool) -> int:
    """Place of the best caption by one column; of equals and of captions without a value the first.

    >>> best([{"sbert": 0.1}, {"sbert": 0.7}, {"sbert": None}], "sbert", higher=True)
    1
    """
    known = [place for place, one in enumerate(scores) if one.get(column) is not None]
    return (max if higher else min)(known, key=lambda place: scores[place][column] or 0, default=0)


def joined(choice: str, scores: Sequence[Scores], metrics: Iterable[Metric]) -> dict[str, float | None]:
    """Scores of the captions of one picture as one; None where no caption has a value.

    >>> chair = Metric("chair_i", "CHAIR-i", 1, "grounding", "share of invented objects", higher_is_better=False)
    >>> [joined(how, [{"chair_i": 0.5}, {"chair_i": 0.25}], [chair]) for how in ("first", "mean", "best")]
    [{'chair_i': 0.5}, {'chair_i': 0.375}, {'chair_i': 0.25}]
    """
    if choice == "first":
        return dict(scores[0])
    found: dict[str, float | None] = {}
    for column, higher in rising(metrics).items():
        there = [one[column] for one in scores if column in one]
        known = [value for value in there if value is not None]
        if choice == "mean" and there:
            found[column] = fmean(known) if known else None
        elif there:
            found[column] = scores[best(scores, column, higher)].get(column)
    return found


def whole(choice: str, measure: Scoring, several: Sequence[Sequence[Candidate]]) -> dict[str, float | None]:
    """Values of a corpus whose samples have several captions.

    By ``mean``, all captions are one corpus; by ``best``, the corpus of a metric is made of the captions that are best
    by it.
    """
    if choice == "first":
        return flat(measure.corpus([captions[0] for captions in several]))
    if choice == "mean":
        return flat(measure.corpus([one for captions in several for one in captions]))
    scores = iter([flat(one) for one in measure.score([one for captions in several for one in captions])])
    scored = [[next(scores) for _ in captions] for captions in several]
    found: dict[str, float | None] = {}
    for column, higher in rising(measure.metrics).items():
        places = [best(some, column, higher) for some in scored]
        values = flat(measure.corpus([captions[place] for captions, place in zip(several, places, strict=True)]))
        found |= {column: values[column]} if column in values else {}
    return found
