"""Sentence vectors by sentence-transformers (Reimers and Gurevych 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from models.adapters.checkpoints import identify
from models.adapters.pretrained import Checkpoint


class Sbert:
    """Any checkpoint that sentence-transformers can load, local or from the hub; texts are cut at 128 tokens."""

    VERSION: ClassVar[int] = 1
    MAX_TOKENS: ClassVar[int] = 128

    class Settings(Checkpoint):
        """``checkpoint``: a folder, or a hub id with its commit as ``revision``."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        """The checkpoint; raises as :func:`models.adapters.checkpoints.identify` does."""
        return self.settings.identity()

    def load(self) -> None:
        """Read the weights; on a GPU where there is one."""
        import transformers
        from sentence_transformers import SentenceTransformer

        transformers.utils.logging.disable_progress_bar()
        identify(self.settings.checkpoint, self.settings.revision)
        self._model = SentenceTransformer(
            self.settings.checkpoint,
            revision=self.settings.revision,
            model_kwargs={"use_safetensors": True, "dtype": "float32"},
        )
        self._model.max_seq_length = min(self.MAX_TOKENS, self._model.max_seq_length or self.MAX_TOKENS)
        # Padding and batched products round otherwise than one text alone. On CPU, where values are promised to be
        # exact, texts go one by one; on a GPU they go sorted by length, and a vector moves by less than 1e-6.
        self.device = self._model.device.type
        self._batch_size = 1 if self.device == "cpu" else 64

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """(N, D) float32 of unit norm, in the order of ``texts``; an empty text is its special tokens."""
        if not texts:
            return np.zeros((0, self._model.get_embedding_dimension() or 0), np.float32)
        return self._model.encode(
            list(texts), batch_size=self._batch_size, normalize_embeddings=True, show_progress_bar=False
        ).astype(np.float32, copy=False)
