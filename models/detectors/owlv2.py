"""OWLv2: finds in pictures what it is told to look for, in words (Minderer et al. 2023, arXiv 2306.09683)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from PIL import Image
from pydantic import Field

from models.adapters.backbones import read_backbone
from models.adapters.finite import finite
from models.adapters.pretrained import Checkpoint
from models.adapters.roles import Detection

PROMPT = "a photo of a {name}"
"""The authors'."""


class Owlv2:
    """Any checkpoint of OWLv2. A box has the name that fits it best, and counts where it is surer than ``threshold``.

    Pictures go one by one, so that no result depends on what is asked beside it; names are cut at what the text tower
    reads (16 tokens).
    """

    VERSION: ClassVar[int] = 1

    class Settings(Checkpoint):
        """``checkpoint``: a folder, or a hub id (such as google/owlv2-base-patch16-ensemble) with its commit as
        ``revision``."""

        threshold: float = Field(0.1, ge=0, lt=1)

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        """Checkpoint and threshold; raises as :func:`models.adapters.checkpoints.identify` does."""
        return self.settings.identity()

    def load(self) -> None:
        """Read the model in float32, on a GPU where there is one, with its processor.

        Raises
        ------
        ValueError
            The checkpoint is of another architecture, or lacks weights.
        """
        import torch
        import transformers

        checkpoint, revision = self.settings.checkpoint, self.settings.revision
        wanted = "an OWLv2: take one such as google/owlv2-base-patch16-ensemble"
        model = "AutoModelForZeroShotObjectDetection"
        self._model = read_backbone(checkpoint, revision, ("owlv2",), wanted, (), model=model, dtype=torch.float32)
        self._processor = transformers.AutoProcessor.from_pretrained(checkpoint, revision=revision)
        self._length = self._model.config.text_config.max_position_embeddings
        self.device = self._model.device.type

    def detect(self, pictures: Sequence[np.ndarray], names: Sequence[Sequence[str]]) -> list[list[Detection]]:
        """What was found in each picture (H, W, 3) uint8, the surest first; of no names, nothing."""
        return [self._found(picture, some) if some else [] for picture, some in zip(pictures, names, strict=True)]

    def _found(self, picture: np.ndarray, names: Sequence[str]) -> list[Detection]:
        import torch

        inputs = self._processor(
            text=[[PROMPT.format(name=name) for name in names]], images=Image.fromarray(picture), padding="max_length",
            max_length=self._length, truncation=True, return_tensors="pt",
        ).to(self.device)  # fmt: skip
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            outputs = self._model(**inputs)
        found = self._processor.post_process_grounded_object_detection(
            outputs, threshold=self.settings.threshold, target_sizes=[picture.shape[:2]]
        )[0]
        rows = finite(found["boxes"].double().cpu().numpy(), "the boxes by OWLv2")
        some = [
            Detection(names[label], score, (left, top, right, bottom))
            for (left, top, right, bottom), label, score in zip(
                rows.tolist(), found["labels"].tolist(), found["scores"].tolist(), strict=True
            )
        ]
        return sorted(some, key=lambda one: -one.score)
