"""Measures of captions that ask models, each to be read beside its paper.

A judged measure is a method (:mod:`models.adapters.requests`): ``judge`` asks about one caption and returns the answers
as they were read; ``values`` makes numbers of them, of one caption's or of a corpus', and knows no model: numbers that
others published can be computed again from the answers that they published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, ClassVar, Protocol

from models.adapters.requests import Asking, Failure
from models.measures import Measure, Metric
from models.measures.captions.candidates import Candidate, Need, some


class JudgedMeasure(Measure, Protocol):
    """Scores captions by what models say of them."""

    NEEDS: ClassVar[frozenset[Need]]

    @property
    def needs(self) -> frozenset[Need]:
        """What it looks at beside the caption."""
        return self.NEEDS

    ROLES: ClassVar[Mapping[str, str]]
    """The roles of the models that it asks, each with the role of the catalogue whose models can play it."""

    def load(self) -> None:
        """Nothing to load: others answer."""
        return

    def judge(self, record: Candidate) -> Asking[Any]:
        """Ask about a caption, and return what was answered, JSON-able.

        Raises ValueError where a model gave no answer at all; one that cannot be read is part of what is returned.
        """

    def values(self, answered: Sequence[Any]) -> dict[str, float | None]:
        """Metric -> value of one caption or of all captions of a corpus, at least one; None over nothing."""


class Heard:
    """A judged measure that needs no model any more: it knows what was answered, by sample and caption."""

    def __init__(self, measure: JudgedMeasure, answered: Mapping[tuple[str, str], Any]) -> None:
        self._measure = measure
        self._answered = answered

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Those of the measure."""
        return self._measure.metrics

    def score(self, records: Sequence[Candidate]) -> list[dict[str, Any]]:
        """Metric -> value of each record."""
        return [self.corpus([record]) for record in records]

    def corpus(self, records: Sequence[Candidate]) -> dict[str, Any]:
        """Values of all records together."""
        return dict(self._measure.values([self._answered[one.sample, one.text] for one in some(records)]))


def given(reply: Any) -> Any:
    """A reply; None in place of one that cannot be read. Raises ValueError where there was none: ask again."""
    if isinstance(reply, Failure):
        if not reply.answered:
            raise ValueError(f"a judge gave no answer: {reply.reason}")
        return None
    return reply


def share(part: float, whole: float) -> float | None:
    """Part / whole; None over nothing."""
    return part / whole if whole else None


def mean(values: Sequence[float | None]) -> float | None:
    """Mean of the values that are there."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
