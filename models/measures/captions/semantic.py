"""Similarity in meaning: cosine of sentence vectors, the maximum over an item's references (paper 000, appendix C)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from models.adapters import catalogue, roles
from models.adapters.finite import finite
from models.measures import Metric
from models.measures.captions.candidates import Candidate, CaptionMeasure, Corpus, Need
from models.measures.captions.references import check_own, check_references


class Semantic(CaptionMeasure):
    """Scores of captions by a sentence embedder; of a corpus, their mean.

    The metric is called after the embedder: ``sbert``, ``simcse_sup`` or ``simcse_unsup``. Each distinct text is
    embedded once, when a score first needs it, and remembered until the next :meth:`fit`.
    """

    VERSION: ClassVar[int] = 1
    NEEDS: ClassVar[frozenset[Need]] = frozenset({"references"})
    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "sbert",
            "SBERT",
            211,
            "captions",
            "cosine of sentence embeddings, the nearest reference (Reimers & Gurevych 2019)",
            low=-1,
            high=1,
            checkpoint=True,
        ),
        Metric(
            "simcse_sup",
            "SimCSE sup.",
            212,
            "captions",
            "as SBERT, by supervised SimCSE, through the pooler (Gao et al. 2021)",
            low=-1,
            high=1,
            checkpoint=True,
        ),
        Metric(
            "simcse_unsup",
            "SimCSE unsup.",
            213,
            "captions",
            "as SBERT, by unsupervised SimCSE, CLS without the pooler",
            low=-1,
            high=1,
            checkpoint=True,
        ),
    )
    """One an embedder of the catalogue, called after it."""

    class Settings(roles.Settings):
        """``embedder``: one of the catalogue's embedders; ``checkpoint`` and ``revision`` are its settings."""

        embedder: str = "sbert"
        checkpoint: str
        revision: str | None = None

    def __init__(self, settings: Settings, embedder: roles.Embedder | None = None) -> None:
        """``embedder``: another than that of the settings, under the same name.

        Raises
        ------
        ValueError
            The catalogue has no embedder of this name.
        """
        self.settings = settings
        self._metric = settings.embedder.replace("-", "_")
        self._embedder = embedder or catalogue.build(
            "embedders", "semantic", {"adapter": settings.embedder} | settings.model_dump(exclude={"embedder"})
        )

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The one of the embedder."""
        return tuple(metric for metric in self.METRICS if metric.name == self._metric)

    def identity(self) -> dict[str, Any]:
        """The embedder, its version included."""
        return {"embedder": self._embedder.identity(), "embedder_version": self._embedder.VERSION}

    def load(self) -> None:
        """Load the embedder."""
        self._embedder.load()
        self.device = getattr(self._embedder, "device", "cpu")

    def fit(self, corpus: Corpus) -> None:
        """Drop the vectors of another corpus; raises ValueError about an item without references."""
        check_references(corpus.references)
        self._vectors: dict[str, np.ndarray] = {}

    def score(self, records: Sequence[Candidate]) -> list[dict[str, float]]:
        """``{metric: cosine}`` of each, in [-1, 1]; raises ValueError about a record without references."""
        for record in records:
            check_own(record.sample, record.references)
        self._embed(text for record in records for text in (record.text, *record.references))
        return [{self._metric: self._closest(record)} for record in records]

    def _embed(self, texts: Iterable[str]) -> None:
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        vectors = finite(self._embedder.embed(new), f"the embedding of {self.settings.checkpoint!r}")
        self._vectors.update(zip(new, vectors.astype(np.float64), strict=True))

    def _closest(self, record: Candidate) -> float:
        caption = self._vectors[record.text]
        closest = max(float(caption @ self._vectors[text]) for text in record.references)
        return max(-1.0, min(1.0, closest))
