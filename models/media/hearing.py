"""What models that hear get of a spectrogram: its sound, at the rate that they know."""

from __future__ import annotations

import math

import numpy as np

from models.media.audio import Spectrogram, to_waveform


def heard(picture: np.ndarray, spectrogram: Spectrogram, rate: int) -> np.ndarray:
    """The sound (samples,) float32 of a picture (bins, width, 3) at ``rate`` samples per second, as long as the clip.

    Raises ValueError for a picture that is not of the spectrogram's size.

    >>> from models.media.audio import POCKET
    >>> heard(np.full((64, 64, 3), 255, np.uint8), POCKET, 16_000).shape
    (81920,)
    """
    from scipy.signal import resample_poly

    wave = to_waveform(picture, spectrogram)
    shared = math.gcd(rate, spectrogram.rate)
    return wave if rate == spectrogram.rate else resample_poly(wave, rate // shared, spectrogram.rate // shared)
