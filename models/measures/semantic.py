"""Similarity in meaning: cosine of sentence vectors, the maximum over an item's references (paper 000, appendix C)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from models.measures.references import check_hypotheses, check_references
from models.roles import Embedder


class Semantic:
    """Scores of captions by an embedder; the same shape as :class:`models.measures.lexical.Lexical`.

    A value depends on the caption and its own references only. Each distinct text is embedded once, and remembered
    until the next :meth:`fit`.
    """

    VERSION: ClassVar[int] = 1

    def __init__(self, embedder: Embedder, metric: str = "sbert") -> None:
        self._embedder, self._metric = embedder, metric

    def identity(self) -> dict[str, Any]:
        """The embedder, its version included."""
        return {"embedder": self._embedder.identity(), "embedder_version": self._embedder.VERSION}

    def load(self) -> None:
        """Load the embedder."""
        self._embedder.load()

    def fit(self, references: Mapping[str, Sequence[str]], captions: Iterable[str] = ()) -> None:
        """Take a corpus's references, id → texts; ``captions`` to be scored later are embedded with them.

        Raises
        ------
        ValueError
            An item without references.
        """
        check_references(references)
        self._references = references
        self._vectors: dict[str, np.ndarray] = {}
        self._embed([*(text for texts in references.values() for text in texts), *captions])

    def score(self, hypotheses: Mapping[str, str]) -> dict[str, dict[str, float]]:
        """``{id: {metric: cosine}}``, in [-1, 1]; raises ValueError about an id without references."""
        check_hypotheses(hypotheses, self._references)
        self._embed(hypotheses.values())
        return {key: {self._metric: self._closest(key, text)} for key, text in hypotheses.items()}

    def corpus(self, hypotheses: Mapping[str, str]) -> dict[str, float]:
        """The mean over items; raises ValueError where there is no caption."""
        if not hypotheses:
            raise ValueError("there are no captions: give at least one")
        items = self.score(hypotheses)
        return {self._metric: sum(item[self._metric] for item in items.values()) / len(items)}

    def _embed(self, texts: Iterable[str]) -> None:
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        self._vectors.update(zip(new, self._embedder.embed(new).astype(np.float64), strict=True))

    def _closest(self, key: str, text: str) -> float:
        cosines = [float(self._vectors[text] @ self._vectors[reference]) for reference in self._references[key]]
        return max(-1.0, min(1.0, max(cosines)))
