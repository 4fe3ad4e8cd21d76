"""Inpainters without weights: OpenCV's two, scikit-image's, and the control that repaints nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from models.adapters import roles


class Identity:
    """Leaves a picture as it was degraded: the control that shows what the degradation alone does."""

    VERSION: ClassVar[int] = 1
    sees_hole: ClassVar[bool] = True
    prompted: ClassVar[bool] = False

    class Settings(roles.Settings):
        """Nothing to choose."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()

    def identity(self) -> dict[str, Any]:
        """Nothing beside the inputs matters."""
        return {}

    def load(self) -> None:
        """There is nothing to load."""

    def inpaint(
        self, pictures: Sequence[np.ndarray], masks: Sequence[np.ndarray], prompts: Sequence[str], seeds: Sequence[int]
    ) -> list[np.ndarray]:
        """The pictures themselves, (H, W, 3) uint8."""
        return list(pictures)


class _Classical:
    """Fills one picture after the other from what lies around the hole."""

    VERSION: ClassVar[int] = 1
    sees_hole: ClassVar[bool] = False
    prompted: ClassVar[bool] = False
    _fill: Callable[[np.ndarray, np.ndarray], np.ndarray]

    def __init__(self, settings: roles.Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        """The settings."""
        return self.settings.model_dump()

    def inpaint(
        self, pictures: Sequence[np.ndarray], masks: Sequence[np.ndarray], prompts: Sequence[str], seeds: Sequence[int]
    ) -> list[np.ndarray]:
        """Repainted pictures, (H, W, 3) uint8, equal to their inputs outside the mask; prompts and seeds are not used.

        Raises
        ------
        ValueError
            About the first picture that is masked everywhere: there is nothing to fill it from.
        """
        for index, mask in enumerate(masks):
            if mask.all():
                raise ValueError(
                    f"picture {index} ({mask.shape[1]} × {mask.shape[0]} pixels) is masked everywhere, and classical "
                    "inpainting fills a hole from its surroundings: leave some pixels unmasked"
                )
        return [self._fill(picture, mask) for picture, mask in zip(pictures, masks, strict=True)]


class _OpenCV(_Classical):
    """``cv2.inpaint``. Channels are filled one by one, so that RGB or BGR makes no difference."""

    METHOD: ClassVar[str]

    class Settings(roles.Settings):
        """``radius``: how far from a pixel, in pixels, the known ones lie that it is filled from."""

        radius: float = Field(3, gt=0, le=100)

    settings: Settings

    def load(self) -> None:
        """Import OpenCV."""
        import cv2

        self._inpaint, self._flag = cv2.inpaint, getattr(cv2, self.METHOD)

    def _fill(self, picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
        hole = mask.astype(np.uint8)
        # OpenCV leaves the outermost pixels of a hole at the picture's edge as they are (opencv/opencv#14722) and fills
        # others from them; Navier-Stokes does so up to a pixel away from the edge. Such a picture gets a masked rim, so
        # that nothing in the hole is ever read.
        rim = int(hole.sum() > hole[2:-2, 2:-2].sum())
        padded = np.pad(picture, ((rim, rim), (rim, rim), (0, 0)))
        filled = self._inpaint(padded, np.pad(hole, rim, constant_values=1), self.settings.radius, self._flag)
        return filled[rim : rim + mask.shape[0], rim : rim + mask.shape[1]]


class Telea(_OpenCV):
    """The fast marching method (Telea 2004): from the rim inwards, each pixel a weighted mean of known neighbours.

    >>> inpainter = Telea(Telea.Settings(radius=3))
    >>> inpainter.load()
    >>> picture, mask = np.full((9, 9, 3), 80, np.uint8), np.zeros((9, 9), bool)
    >>> picture[4, 4], mask[4, 4] = 0, True
    >>> inpainter.inpaint([picture], [mask], [""], [0])[0][4, 4].tolist()
    [80, 80, 80]
    """

    METHOD: ClassVar[str] = "INPAINT_TELEA"


class NavierStokes(_OpenCV):
    """Isophotes carried into the hole as a fluid's stream lines (Bertalmio, Bertozzi and Sapiro 2001)."""

    METHOD: ClassVar[str] = "INPAINT_NS"


class Biharmonic(_Classical):
    """The smoothest surface through the hole's rim: the biharmonic equation (Damelin and Hoang 2018), scikit-image.

    One sparse system a picture, quick for what studies mask: a hole of 32 × 32 pixels takes about 10 ms of CPU, one of
    256 × 256 a bit more than a second.
    """

    class Settings(roles.Settings):
        """Nothing to choose."""

    def load(self) -> None:
        """Import scikit-image."""
        from skimage.restoration import inpaint_biharmonic

        self._biharmonic = inpaint_biharmonic

    def _fill(self, picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
        if not mask.any():
            return picture
        filled = self._biharmonic(picture, mask, channel_axis=-1)
        return np.rint(filled * 255).astype(np.uint8)
