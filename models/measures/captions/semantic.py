"""Similarity in meaning: cosine of sentence vectors, the maximum over an item's references (paper 000, appendix C)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from models.adapters import catalogue, roles
from models.measures.captions.references import check_hypotheses, check_references


class Semantic:
    """Scores of captions by a sentence embedder; the same shape as :class:`models.measures.captions.lexical.Lexical`.

    The metric is called after the embedder: ``sbert``, ``simcse_sup`` or ``simcse_unsup``. Each distinct text is
    embedded once, when a score first needs it, and remembered until the next :meth:`fit`.
    """

    VERSION: ClassVar[int] = 1
    corpus_wide: ClassVar[bool] = False
    """A value depends on the caption and its own references only."""

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
    def METRICS(self) -> tuple[str, ...]:
        """The name of the one value."""
        return (self._metric,)

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
        """``{id: {metric: cosine}}``, in [-1, 1]; raises ValueError about an id without references."""
        check_hypotheses(hypotheses, self._references)
        self._embed(text for key, caption in hypotheses.items() for text in (caption, *self._references[key]))
        return {key: {self._metric: self._closest(key, caption)} for key, caption in hypotheses.items()}

    def corpus(self, hypotheses: Mapping[str, str]) -> dict[str, float]:
        """The mean over items; raises ValueError where there is no caption."""
        if not hypotheses:
            raise ValueError("there are no captions: give at least one")
        items = self.score(hypotheses)
        return {self._metric: sum(item[self._metric] for item in items.values()) / len(items)}

    def _embed(self, texts: Iterable[str]) -> None:
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        self._vectors.update(zip(new, self._embedder.embed(new).astype(np.float64), strict=True))

    def _closest(self, key: str, caption: str) -> float:
        closest = max(float(self._vectors[caption] @ self._vectors[text]) for text in self._references[key])
        return max(-1.0, min(1.0, closest))
