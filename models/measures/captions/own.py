"""Drift of captions: how like one is to what the same captioner said of the original, without any references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from models.measures import Metric
from models.measures.captions.candidates import Candidate, Corpus, Need
from models.measures.captions.semantic import Semantic

OWN = "own_"
"""What the names of these metrics begin with, before that of the embedder."""


class Own(Semantic):
    """Similarity of captions with their captioner's own caption of the original, by a sentence embedder.

    That of the original itself is 1. The metric is ``own_sbert``, ``own_simcse_sup`` or ``own_simcse_unsup``.
    """

    VERSION: ClassVar[int] = 1
    NEEDS: ClassVar[frozenset[Need]] = frozenset({"own"})
    METRICS: ClassVar[tuple[Metric, ...]] = tuple(
        replace(
            metric,
            name=f"{OWN}{metric.name}",
            label=f"{metric.label} to own",
            position=metric.position + 20,
            definition=f"cosine with the captioner’s own caption of the original, by {metric.label}",
        )
        for metric in Semantic.METRICS
    )

    def __init__(self, settings: Semantic.Settings, embedder: Any = None) -> None:
        super().__init__(settings, embedder)
        self._metric = f"{OWN}{self._metric}"

    def fit(self, corpus: Corpus) -> None:
        """Drop the vectors of another corpus."""
        self._vectors = {}

    def score(self, records: Sequence[Candidate]) -> list[dict[str, float]]:
        """``{metric: cosine}`` of each, in [-1, 1]; raises ValueError about a record without its captioner's own."""
        return super().score([replace(one, references=() if one.own is None else (one.own,)) for one in records])
