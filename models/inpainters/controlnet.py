"""Stable Diffusion's inpainting pipeline with a ControlNet, as diffusers runs it (Zhang et al. 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from models.adapters.checkpoints import identify
from models.inpainters import diffusion
from models.inpainters.stable_diffusion import StableDiffusion

if TYPE_CHECKING:
    from torch import Tensor


class StableDiffusionControlNet(StableDiffusion):
    """A checkpoint of :class:`~models.inpainters.stable_diffusion.StableDiffusion`, led by the edges around the hole.

    A ControlNet adds to the U-Net what it makes of a map of edges. Riff-ControlNet (Shah et al. 2023) is one of
    Riffusion, trained on Canny's edges of a song's accompaniment, by which the song's voice is painted anew; the
    inpainting paper repaints GTZAN's spectrograms with it (appendix F) and does not say what the edges are then. Here
    they are those of what is left of the picture, and none in the hole, whatever it holds.
    """

    VERSION: ClassVar[int] = 1
    PIPELINE: ClassVar[str] = "StableDiffusionControlNetInpaintPipeline"

    class Settings(diffusion.Settings):
        """Settings of every diffusion inpainter, and of this one.

        ``controlnet``: a folder in diffusers' layout, or a hub id with its commit as ``controlnet_revision``.
        ``edges``: Canny's two thresholds on gradients of bytes (Riff-ControlNet's own are the default).
        ``control_scale``: by how much the ControlNet's outputs are multiplied; 1 is as it was trained.
        """

        controlnet: str
        controlnet_revision: str | None = None
        edges: tuple[int, int] = (100, 200)
        control_scale: float = Field(1.0, ge=0)

    settings: Settings

    def identity(self) -> dict[str, Any]:
        """Both checkpoints and the settings; raises as :func:`models.adapters.checkpoints.identify` does."""
        known = super().identity()
        control = identify(known.pop("controlnet"), known.pop("controlnet_revision"))
        return known | {"edges": list(self.settings.edges), "controlnet": control}

    def _parts(self, stored: dict[str, Any]) -> dict[str, Any]:
        import torch
        from diffusers import ControlNetModel

        settings = self.settings
        identify(settings.controlnet, settings.controlnet_revision)
        where: dict[str, Any] = {
            "pretrained_model_name_or_path": settings.controlnet,
            "revision": settings.controlnet_revision,
        }
        kind = ControlNetModel.load_config(**where).get("_class_name")
        if kind != "ControlNetModel":
            raise ValueError(
                f"controlnet {settings.controlnet!r} is a {kind}, not a ControlNetModel of diffusers: name the folder "
                "of one, or convert it with ControlNetModel.from_single_file and save_pretrained"
            )
        dtype = getattr(torch, settings.dtype)
        network = ControlNetModel.from_pretrained(**where, torch_dtype=dtype, use_safetensors=True)
        return super()._parts(stored) | {"controlnet": network}

    def _run(self, **inputs: Any) -> Tensor:
        import torch

        maps = []
        for picture, mask in zip(inputs["image"], inputs["mask_image"], strict=True):
            bytes_of = np.rint(255 * picture.permute(1, 2, 0).numpy()).astype(np.uint8)
            maps.append(edges(bytes_of, mask[0].numpy() > 0, *self.settings.edges))
        control = torch.from_numpy(np.stack(maps)).float().div(255)[:, None].repeat(1, 3, 1, 1)
        scale = self.settings.control_scale
        return super()._run(**inputs, control_image=control, controlnet_conditioning_scale=scale)


def edges(picture: np.ndarray, mask: np.ndarray, low: int, high: int) -> np.ndarray:
    """Canny's edges (H, W) uint8, 0 or 255, of a picture (H, W, 3) uint8 outside a mask (H, W) bool.

    Gradients that touch a pixel under the mask are none: neither what is there nor the mask's outline leaves an edge.

    >>> picture = np.zeros((8, 8, 3), np.uint8)
    >>> picture[:, 4:] = 255
    >>> edges(picture, np.arange(64).reshape(8, 8) < 32, 100, 200).any(axis=1).tolist()
    [False, False, False, False, False, True, True, True]
    """
    import cv2

    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    touched = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    across, down = (
        np.where(touched, np.int16(0), cv2.Sobel(grey, cv2.CV_16S, x, 1 - x, borderType=cv2.BORDER_REPLICATE))
        for x in (1, 0)
    )
    return cv2.Canny(across, down, low, high)
