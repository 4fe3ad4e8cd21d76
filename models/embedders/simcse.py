"""Sentence vectors by SimCSE (Gao et al. 2021, arXiv 2104.08821), as its authors' package computes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from models.adapters.backbones import read_backbone
from models.adapters.pretrained import Checkpoint

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import BertModel, RobertaModel


class Simcse:
    """A BERT or RoBERTa whose CLS token is the sentence; texts are cut at 128 tokens."""

    VERSION: ClassVar[int] = 1
    MAX_TOKENS: ClassVar[int] = 128
    pooling: ClassVar[Literal["pooler", "cls"]]
    """``pooler``: the last hidden state of CLS through the checkpoint's linear layer and tanh. ``cls``: that state."""

    class Settings(Checkpoint):
        """``checkpoint``: a folder, or a hub id with its commit as ``revision``."""

    _model: BertModel | RobertaModel

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        """Checkpoint and pooling; raises as :func:`models.adapters.checkpoints.identify` does."""
        return self.settings.identity() | {"pooling": self.pooling}

    def load(self) -> None:
        """Read the weights; on a GPU where there is one.

        Raises
        ------
        ValueError
            The checkpoint is not of a BERT, or lacks weights, the pooler's included where it is used.
        """
        import torch
        import transformers

        where = {"pretrained_model_name_or_path": self.settings.checkpoint, "revision": self.settings.revision}
        self._model = read_backbone(
            self.settings.checkpoint,
            self.settings.revision,
            kinds=("bert", "roberta"),
            wanted="the BERT or RoBERTa that SimCSE needs",
            unused=("pooler.",) if self.pooling == "cls" else (),
            dtype=torch.float32,
        )
        self.device = self._model.device.type
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(**where)
        self._length = min(self.MAX_TOKENS, self._tokenizer.model_max_length)
        # As for Sbert: exact on CPU, where texts go one by one; on a GPU they go sorted by length.
        self._batch_size = 1 if self.device == "cpu" else 64

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """(N, D) float32 of unit norm, in the order of ``texts``; an empty text is its special tokens."""
        vectors = np.zeros((len(texts), self._model.config.hidden_size), np.float32)
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        for start in range(0, len(order), self._batch_size):
            some = order[start : start + self._batch_size]
            vectors[some] = self._vectors([texts[index] for index in some]).cpu().numpy()
        return vectors

    def _vectors(self, texts: list[str]) -> Tensor:
        """(N, D) of unit norm, of one forward."""
        import torch

        cut = {"padding": True, "truncation": True, "max_length": self._length}
        with torch.inference_mode():
            output = self._model(**self._tokenizer(texts, **cut, return_tensors="pt").to(self.device))
        vectors = output.pooler_output if self.pooling == "pooler" else output.last_hidden_state[:, 0]
        return torch.nn.functional.normalize(vectors.float(), dim=1)


class SupervisedSimcse(Simcse):
    """Trained on entailments with contradictions as hard negatives: CLS through the pooler, at test time too."""

    pooling = "pooler"


class UnsupervisedSimcse(Simcse):
    """Trained on each sentence twice through dropout: at test time the layer over CLS is dropped."""

    pooling = "cls"
