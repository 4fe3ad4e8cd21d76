"""Records of captions as measures get them, and the Protocol of caption measures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from models.measures import Measure
from models.measures.captions.references import check_hypotheses

Annotations = Mapping[str, Any]
Need = Literal["references", "corpus_references", "annotations", "mask", "picture", "own"]
"""What a score may depend on beside the caption: its sample's references, those of the whole corpus, the sample's
annotations, where its picture is repainted, the picture that was captioned, and what its captioner said of the
original."""


class Picture(Protocol):
    """A picture by reference: its bytes are fetched when they are needed."""

    @property
    def digest(self) -> str:
        """The sha256 of its PNG bytes."""

    def pixels(self) -> np.ndarray:
        """The picture (H, W, 3) uint8."""


@dataclass(frozen=True)
class Candidate:
    """A caption to be scored, with what it is compared with; several may be of one sample.

    What its measure does not need may be left out.
    """

    sample: str
    text: str
    references: Sequence[str] = ()
    annotations: Annotations = field(default_factory=dict)
    mask: bytes | None = None
    """Where the picture is repainted, as PNG that :func:`models.media.images.decode_mask` reads."""
    picture: Picture | None = None
    """What was captioned, the original or the repainted picture."""
    own: str | None = None
    """The caption that the same captioner gave the original."""


@dataclass(frozen=True)
class Corpus:
    """Corpus to which a measure may be fitted: all samples of a corpus by id, captioned or not."""

    references: Mapping[str, Sequence[str]] = field(default_factory=dict)
    annotations: Mapping[str, Annotations] = field(default_factory=dict)
    texts: Iterable[str] = ()
    """The captions that are going to be scored."""


class CaptionMeasure(Measure, Protocol):
    """Scores captions, one corpus at a time. A class that inherits from it gives ``score``, and what else it changes.

    The key of a score follows from :attr:`needs`, so a value must depend on nothing else.
    """

    NEEDS: ClassVar[frozenset[Need]]

    @property
    def needs(self) -> frozenset[Need]:
        """Inputs that scores depend on, with the measure's settings."""
        return self.NEEDS

    def fit(self, corpus: Corpus) -> None:
        """Take the corpus whose captions are scored next, and drop what was kept of another; by default nothing."""

    def score(self, records: Sequence[Candidate]) -> list[dict[str, Any]]:
        """Metric -> value of each record, in their order; metric -> region -> value where the metric is regional."""

    def corpus(self, records: Sequence[Candidate]) -> dict[str, Any]:
        """Values of all records as one corpus: by default the means over them, of metrics without regions.

        Raises
        ------
        ValueError
            There is no record.
        """
        items = self.score(some(records))
        return {metric.name: sum(item[metric.name] for item in items) / len(items) for metric in self.metrics}


def some(records: Sequence[Candidate]) -> Sequence[Candidate]:
    """The records, which must be at least one: raises ``ValueError``."""
    if not records:
        raise ValueError("there are no captions: give at least one")
    return records


def candidates(
    captions: Mapping[str, str],
    references: Mapping[str, Sequence[str]] | None = None,
    annotations: Mapping[str, Annotations] | None = None,
    masks: Mapping[str, bytes] | None = None,
) -> list[Candidate]:
    """Records of captions, id -> text, from what is known by id; an id may lack a mask, and nothing else.

    Raises
    ------
    ValueError
        An id without references or annotations (naming the nearest), or a caption that is not a text.

    >>> candidates({"1": "a cat"}, {"1": ["the cat"]})[0].references
    ['the cat']
    """
    for what, known in (("references", references), ("annotations", annotations)):
        if known is not None:
            check_hypotheses(captions, known, what)
    return [
        Candidate(key, text, (references or {}).get(key, ()), (annotations or {}).get(key, {}), (masks or {}).get(key))
        for key, text in captions.items()
    ]
