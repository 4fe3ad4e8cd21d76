"""Fidelity without a network: MSE, PSNR and SSIM of a repainted picture against its original."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from models.adapters import roles
from models.measures import Metric, PictureMeasure
from models.measures.regions import REGIONS, check_pair, region_means

SSIM_WINDOW = 11


def squared_error(original: np.ndarray, result: np.ndarray, mask: np.ndarray) -> dict[str, float | None]:
    """Mean squared error of intensities in [0, 1], over the pixels and channels of each region.

    Squares are summed as integers, so that the value does not depend on the order of summation.

    >>> black, grey = np.zeros((1, 2, 3), np.uint8), np.full((1, 2, 3), 51, np.uint8)
    >>> squared_error(black, grey, np.array([[True, False]]))["region"]
    0.04
    """
    difference = original.astype(np.int32) - result
    per_pixel = (difference * difference).sum(axis=2)
    means = region_means(per_pixel, mask)
    return {name: None if mean is None else mean / (3 * 255**2) for name, mean in means.items()}


def peak_signal_to_noise(mse: float | None) -> float | None:
    """10 · log10(1 / MSE) in dB, for intensities in [0, 1]; None for equal pixels, where it is infinite.

    >>> peak_signal_to_noise(0.01), peak_signal_to_noise(0.0)
    (20.0, None)
    """
    return 10 * math.log10(1 / mse) if mse else None


def structural_similarity(original: np.ndarray, result: np.ndarray, mask: np.ndarray) -> dict[str, float | None]:
    """SSIM of Wang et al. 2004 (Gaussian window, sigma 1.5, population covariance), the mean over RGB channels.

    ``whole`` is scikit-image's value, which leaves out a border of half a window (5 pixels). ``region`` and ``outside``
    average scikit-image's full map over their pixels, border included (there the picture is continued by reflection),
    so they do not add up to ``whole`` exactly. A pixel's SSIM sees its whole window: near a seam a region's value
    depends on pixels of the other. None throughout for a picture with a side under 11 pixels, where no window fits.
    """
    if min(original.shape[:2]) < SSIM_WINDOW:
        return dict.fromkeys(REGIONS)
    from skimage.metrics import structural_similarity as ssim

    whole, full = ssim(
        original / 255.0,
        result / 255.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1,
        channel_axis=2,
        full=True,
    )
    return region_means(full.mean(axis=2), mask) | {"whole": float(whole)}


class Pixel(PictureMeasure):
    """MSE, PSNR and SSIM per region. PSNR is per picture: the mean of PSNRs is not the PSNR of the mean MSE."""

    VERSION: ClassVar[int] = 1
    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "mse",
            "MSE",
            101,
            "pictures",
            "mean squared difference of intensities in [0, 1], over pixels and channels",
            higher_is_better=False,
            high=1,
            unit="squared intensity, intensities in [0, 1]",
            decimals=4,
            regional=True,
        ),
        Metric(
            "psnr",
            "PSNR",
            102,
            "pictures",
            "10 · log₁₀(1 / MSE) in dB, per picture; undefined where the pixels are equal",
            unit="dB",
            decimals=2,
            regional=True,
        ),
        Metric(
            "ssim",
            "SSIM",
            103,
            "pictures",
            "structural similarity (Wang et al. 2004), Gaussian window, mean over RGB",
            low=-1,
            high=1,
            regional=True,
        ),
    )

    class Settings(roles.Settings):
        """Nothing to choose."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()

    def identity(self) -> dict[str, Any]:
        """Nothing beside the inputs matters."""
        return {}

    def load(self) -> None:
        """Import scikit-image, which is not done before the first item that needs it."""
        import skimage.metrics  # noqa: F401

    def measure(
        self, originals: Sequence[np.ndarray], results: Sequence[np.ndarray], masks: Sequence[np.ndarray]
    ) -> list[dict[str, dict[str, float | None]]]:
        """Metric → region → value of each pair; sizes may differ between pairs.

        Raises
        ------
        ValueError
            From :func:`~models.measures.regions.check_pair`, about the first pair that cannot be compared. A pair's
            values never depend on its neighbours, so the others can be measured again without it.

        >>> picture = np.zeros((16, 16, 3), np.uint8)
        >>> Pixel().measure([picture], [picture], [np.eye(16, dtype=bool)])[0]["ssim"]["whole"]
        1.0
        """
        return [self._pair(*pair) for pair in zip(originals, results, masks, strict=True)]

    def _pair(self, original: np.ndarray, result: np.ndarray, mask: np.ndarray) -> dict[str, dict[str, float | None]]:
        check_pair(original, result, mask)
        mse = squared_error(original, result, mask)
        return {
            "mse": mse,
            "psnr": {region: peak_signal_to_noise(value) for region, value in mse.items()},
            "ssim": structural_similarity(original, result, mask),
        }
