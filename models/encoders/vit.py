"""Plain vision transformers (Dosovitskiy et al. 2021), as transformers runs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from PIL import Image
from pydantic import Field

from models.adapters import batches
from models.adapters.ahead import moved, on_device, prepared
from models.adapters.backbones import read_backbone
from models.adapters.pretrained import Checkpoint

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

KINDS = ("vit", "deit", "dinov2", "dinov2_with_registers", "dinov3_vit", "vit_msn")
"""transformers' model types whose tokens are CLS, other special tokens if any, then patches row by row."""


class Vit:
    """Any checkpoint of ViT, DeiT, DINOv2, DINOv3 (ViT) or MSN, with or without a classifier.

    Pictures are resized, cropped and normalised by the checkpoint's own processor, one by one. On a CPU an item does
    not depend on its batch: every forward has ``micro_batch`` pictures, the last one filled up by repetition, since
    kernels round otherwise for another batch shape. Of a forward's attention only the rows of the CLS token are kept,
    so memory does not grow with the number of pictures beyond what is returned.
    """

    VERSION: ClassVar[int] = 1
    PREPARES: ClassVar[bool] = True

    class Settings(Checkpoint):
        """``checkpoint``: a folder, or a hub id with its commit as ``revision``.

        ``micro_batch``: pictures in a forward. More is faster on a GPU, and costs memory: a forward holds
        layers x heads x tokens² attention weights a picture, 22 MB for ViT-B/16 at 224 pixels in float32.
        """

        dtype: Literal["float32", "float16", "bfloat16"] = "float32"
        micro_batch: int = Field(8, ge=1)

    _model: PreTrainedModel

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        """Checkpoint and settings; raises as :func:`models.adapters.checkpoints.identify` does."""
        return self.settings.identity()

    def load(self) -> None:
        """Read model and processor, on a GPU where there is one; a hub id is downloaded unless cached.

        Raises
        ------
        ValueError
            The checkpoint is of another architecture, lacks weights, or its processor lets pictures keep their shapes.
        """
        import torch
        import transformers

        where = {"pretrained_model_name_or_path": self.settings.checkpoint, "revision": self.settings.revision}
        self._model = read_backbone(
            self.settings.checkpoint,
            self.settings.revision,
            kinds=KINDS,
            wanted=f"a plain vision transformer with a CLS token: take one of {', '.join(KINDS)}",
            unused=("pooler.",),
            attn_implementation="eager",  # no other gives attention weights
            dtype=getattr(torch, self.settings.dtype),
        )
        self.device = self._model.device.type
        self._processor = transformers.AutoImageProcessor.from_pretrained(**where)
        square, wide = (self._pixels(np.zeros((32, width, 3), np.uint8)).shape for width in (32, 64))
        if square != wide:
            raise ValueError(
                f"the processor of {self.settings.checkpoint!r} gives pictures of different shapes different numbers "
                "of patches: set a fixed size or a centre crop in its preprocessor_config.json"
            )
        side = self._model.config.patch_size
        self._grid = (square[2] // side, square[3] // side)

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of patches; there after :meth:`load`."""
        return self._grid

    def encode(self, pictures: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        """``(cls, attention)`` of each picture (H, W, 3) uint8.

        ``cls`` (D,) float32 is the CLS token's last hidden state after the final layer norm; no pooler is used.
        ``attention`` (layers, heads, patches) float32 is what each head's CLS token gives to each patch, patches row by
        row (:attr:`grid`). They are the softmax weights as they are, in [0, 1]: the weights on CLS itself and on other
        special tokens are left out, so a row adds up to less than 1. A measure that wants a distribution over patches
        divides by the sum; paper 000 (appendix C) leaves open whether it does.
        """
        import torch

        pixels = prepared(self._pixels, pictures)
        size, shared = self.settings.micro_batch, batches.shares(self.device)

        def forwards() -> list[np.ndarray]:
            """Nothing waits for a forward before all are asked for."""
            found = batches.in_batches(
                [()] * len(pixels), size, shared, lambda rows: self._forward([pixels[i] for i in rows])
            )
            return [torch.stack(one).float().cpu().numpy() for one in zip(*found, strict=True)]

        return list(zip(*on_device(forwards), strict=True))

    def coverage(self, masks: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The share in [0, 1] of each patch that a mask (H, W) bool covers, (patches,) float32.

        A mask goes through the same resizing and cropping as its picture, so that shares and attention are about the
        same patches whatever the processor cuts off.
        """
        from torch.nn.functional import avg_pool2d

        side = self._model.config.patch_size
        pictures = (np.repeat(np.uint8(255) * mask[..., None], 3, axis=2) for mask in masks)
        shown = (self._pixels(one, do_normalize=False, do_rescale=True, rescale_factor=1 / 255) for one in pictures)
        return [avg_pool2d(one[:, :1], side).flatten().clamp(0, 1).numpy() for one in shown]

    def _pixels(self, picture: np.ndarray, **options: Any) -> Tensor:
        """The processor's (1, 3, h, w), of one picture alone."""
        return self._processor(images=Image.fromarray(picture), return_tensors="pt", **options)["pixel_values"]

    def _forward(self, pixels: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """(D,) and (layers, heads, patches) of each picture of one micro-batch, where the model is."""
        import torch

        inputs = moved(torch.cat(pixels), self._model.device, self._model.dtype)
        patches = self._grid[0] * self._grid[1]
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            output = self._model(pixel_values=inputs, output_attentions=True)
            rows = torch.stack([layer[:, :, 0, -patches:] for layer in output.attentions], dim=1)
        return list(zip(output.last_hidden_state[:, 0], rows, strict=True))
