"""Similarity in meaning: cosine of sentence vectors, the maximum over an item's references (paper 000, appendix C)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from models.embedders.sbert import Sbert
from models.measures.references import check_hypotheses, check_references
from models.roles import Embedder


class Semantic:
    """Scores of captions by a sentence embedder; the same shape as :class:`models.measures.lexical.Lexical`.

    Each distinct text is embedded once, when a score first needs it, and remembered until the next :meth:`fit`.
    """

    VERSION: ClassVar[int] = 1
    METRICS: ClassVar[tuple[str, ...]] = ("sbert",)
    corpus_wide: ClassVar[bool] = False
    """A value depends on the caption and its own references only."""

    Settings = Sbert.Settings

    def __init__(self, settings: Sbert.Settings, embedder: Embedder | None = None) -> None:
        """``embedder``: another than the :class:`~models.embedders.sbert.Sbert` of the settings."""
        self.settings = settings
        self._embedder = embedder or Sbert(settings)

    def identity(self) -> dict[str, Any]:
        """The embedder, its version included."""
        return {"embedder": self._embedder.identity(), "embedder_version": self._embedder.VERSION}

    def load(self) -> None:
        """Load the embedder."""
        self._embedder.load()
        self.device = getattr(self._embedder, "device", "cpu")

    def fit(self, references: Mapping[str, Sequence[str]], captions: Iterable[str] = ()) -> None:
        """Take a corpus's references, id → texts; unlike a tokenizer, an embedder need not know ``captions`` ahead.

        Raises
        ------
        ValueError
            An item without references.
        """
        check_references(references)
        self._references = references
        self._vectors: dict[str, np.ndarray] = {}

    def score(self, hypotheses: Mapping[str, str]) -> dict[str, dict[str, float]]:
        """``{id: {"sbert": cosine}}``, in [-1, 1]; raises ValueError about an id without references."""
        check_hypotheses(hypotheses, self._references)
        self._embed(text for key, caption in hypotheses.items() for text in (caption, *self._references[key]))
        return {key: {"sbert": self._closest(key, caption)} for key, caption in hypotheses.items()}

    def corpus(self, hypotheses: Mapping[str, str]) -> dict[str, float]:
        """The mean over items; raises ValueError where there is no caption."""
        if not hypotheses:
            raise ValueError("there are no captions: give at least one")
        items = self.score(hypotheses)
        return {"sbert": sum(item["sbert"] for item in items.values()) / len(items)}

    def _embed(self, texts: Iterable[str]) -> None:
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        self._vectors.update(zip(new, self._embedder.embed(new).astype(np.float64), strict=True))

    def _closest(self, key: str, caption: str) -> float:
        closest = max(float(self._vectors[caption] @ self._vectors[text]) for text in self._references[key])
        return max(-1.0, min(1.0, closest))
