"""Segment Anything: finds the parts of pictures, whatever they are (Kirillov et al. 2023, arXiv 2304.02643)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from PIL import Image
from pydantic import Field

from models.adapters.backbones import read_backbone
from models.adapters.pretrained import Checkpoint
from models.adapters.roles import Detection


class Sam:
    """Any checkpoint of SAM, asked at ``points`` x ``points`` places of a picture, as transformers' pipeline for mask
    generation does.

    Masks count that the model takes for good (``quality``, the intersection over union that it predicts) and that
    hardly change with the threshold (``stability``); defaults are those of Self-Loop (Dong et al. 2024). It knows no
    names: all parts have an empty label, whatever is looked for. Pictures go one by one.
    """

    VERSION: ClassVar[int] = 1

    class Settings(Checkpoint):
        """``checkpoint``: a folder, or a hub id (such as facebook/sam-vit-base) with its commit as ``revision``."""

        points: int = Field(8, ge=1, le=64)
        quality: float = Field(0.66, ge=0, lt=1)
        stability: float = Field(0.86, ge=0, lt=1)

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        """Checkpoint and settings; raises as :func:`models.adapters.checkpoints.identify` does."""
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
        wanted = "a SAM: take one such as facebook/sam-vit-base"
        model = read_backbone(
            checkpoint, revision, ("sam",), wanted, (), model="AutoModelForMaskGeneration", dtype=torch.float32
        )
        processor = transformers.AutoImageProcessor.from_pretrained(checkpoint, revision=revision)
        self._parts = transformers.pipeline(
            "mask-generation", model=model, image_processor=processor, device=model.device
        )
        self.device = model.device.type

    def detect(self, pictures: Sequence[np.ndarray], names: Sequence[Sequence[str]]) -> list[list[Detection]]:
        """The parts of each picture (H, W, 3) uint8, the surest first."""
        return [self._found(picture) for picture in pictures]

    def _found(self, picture: np.ndarray) -> list[Detection]:
        import torch

        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            found = self._parts(
                Image.fromarray(picture), points_per_crop=self.settings.points, output_bboxes_mask=True,
                pred_iou_thresh=self.settings.quality, stability_score_thresh=self.settings.stability,
            )  # fmt: skip
        corners = [[float(side) for side in box] for box in found["bounding_boxes"]]
        some = [
            Detection("", min(float(score), 1.0), (left, top, right + 1, bottom + 1))  # it counts the last pixel's edge
            for score, (left, top, right, bottom) in zip(found["scores"], corners, strict=True)
        ]
        return sorted(some, key=lambda one: -one.score)
