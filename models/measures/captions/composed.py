"""How much of what is known of a picture's parts a caption tells truly, sentence by sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from models.adapters import roles
from models.measures import Metric
from models.measures.captions.candidates import Candidate, CaptionMeasure, Corpus, Need


class Sentences(CaptionMeasure):
    """Precision and recall of captions that are made of the sentences of their corpus (DCI's ``parts``), word for word.

    Of a part a caption tells the true sentence or a negative of it; one that tells neither of any part was made
    otherwise and has no value. What captions of generated scenes get right, :mod:`models.measures.captions.grounding`
    knows.
    """

    VERSION: ClassVar[int] = 1
    NEEDS: ClassVar[frozenset[Need]] = frozenset({"annotations"})
    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "sentence_precision",
            "sentences ✓",
            381,
            "grounding",
            "share of a caption's sentences about known parts of the picture that are the true ones",
            high=1,
        ),
        Metric(
            "sentence_recall",
            "parts ✓",
            382,
            "grounding",
            "share of the known parts of the picture whose true sentence the caption has",
            high=1,
        ),
    )

    class Settings(roles.Settings):
        """There is nothing to set."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()

    def identity(self) -> dict[str, Any]:
        """Nothing beside the version: an item depends on its caption and annotations."""
        return {}

    def load(self) -> None:
        """Nothing to load."""

    def fit(self, corpus: Corpus) -> None:
        """Raises ``ValueError`` where nothing is known of the parts of the corpus' pictures."""
        if not all("parts" in one for one in corpus.annotations.values()):
            raise ValueError("nothing is known of its pictures' parts: name corpora of `dci` with `parts: true`")

    def score(self, records: Sequence[Candidate]) -> list[dict[str, Any]]:
        """``{"sentence_precision": value, "sentence_recall": value}`` of each, in [0, 1] or None."""
        return [_values(record) for record in records]

    def corpus(self, records: Sequence[Candidate]) -> dict[str, Any]:
        """Means over the captions that have a value."""
        scores = self.score(records)
        found = {
            metric.name: [one[metric.name] for one in scores if one[metric.name] is not None] for metric in self.METRICS
        }
        return {name: sum(values) / len(values) if values else None for name, values in found.items()}


def _values(record: Candidate) -> dict[str, float | None]:
    parts = record.annotations["parts"]
    true = [part["text"] in record.text for part in parts]
    false = [
        not said and any(text and text in record.text for texts in part["negatives"].values() for text in texts)
        for part, said in zip(parts, true, strict=True)
    ]
    told = sum(true) + sum(false)
    if not told:
        return dict.fromkeys(("sentence_precision", "sentence_recall"))
    return {"sentence_precision": sum(true) / told, "sentence_recall": sum(true) / len(parts)}
