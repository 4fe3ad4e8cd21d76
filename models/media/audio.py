"""Sound as a picture and back: the mel-spectrogram of "How Do Inpainting Artifacts Propagate to Language?" (B.1, F).

The picture is Riffusion's, so that its inpainter and its inverse fit: the magnitudes of a short-time Fourier transform
(Hann window of 100 ms, padded to 400 ms, reflected at the ends), summed by HTK mel filters of peak 1, divided by the
loudest and raised to the power 0.25. **Louder is darker**, low frequencies are at the bottom, time goes to the right.
Loudness itself is not kept: a clip and its half give one picture.
"""

from __future__ import annotations

import functools
import math
import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, model_validator

from models.adapters.settings import Settings

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class Spectrogram(Settings):
    """Settings of a clip's picture; the defaults give 512 x 512 pixels. Times are in milliseconds."""

    rate: int = Field(44_100, gt=0)
    """Samples per second; other sound is resampled to it first."""

    duration: int = Field(5120, gt=0)
    """How much of a clip's beginning is shown; shorter clips are refused."""

    step: int = Field(10, gt=0)
    """Time of one pixel."""

    window: int = Field(100, gt=0)
    """Length of the Hann window: longer tells tones better apart, shorter moments."""

    padding: int = Field(4, gt=0)
    """Length of the Fourier transform in windows: zeros are added, so that the narrow filters of low tones get some."""

    bins: int = Field(512, gt=1)
    """Mel filters, one for each row of pixels."""

    low: float = Field(0, ge=0)
    high: float = Field(10_000, gt=0)
    """Range of the filters in Hz."""

    power: float = Field(0.25, gt=0)
    """Exponent of the relative magnitude; below 1 it lets faint sound be seen."""

    @model_validator(mode="after")
    def _fits(self) -> Spectrogram:
        if not self.low < self.high <= self.rate / 2:
            raise ValueError(f"low < high <= {self.rate / 2:g} Hz, half of the rate, is expected of the frequencies")
        if self.duration % self.step or self.step >= self.window:
            raise ValueError("a step is expected that divides the duration and is shorter than the window")
        if self.rate * self.step % 1000:
            raise ValueError("a rate and a step are expected that give whole samples in a step")
        return self

    @property
    def width(self) -> int:
        """Pixels in a row: steps in the duration."""
        return self.duration // self.step

    @property
    def hop(self) -> int:
        """Samples in a step."""
        return self.rate * self.step // 1000

    @property
    def length(self) -> int:
        """Samples of a clip."""
        return self.hop * self.width


FULL = Spectrogram()
POCKET = Spectrogram(rate=22_050, step=80, window=160, padding=1, bins=64)
"""64 x 64 pixels. Windows overlap by half: no moment is unseen, and the phase can be found again."""

MOMENTUM = 0.99
"""Of fast Griffin-Lim, as in the paper and torchaudio."""

LINEAR = {2: ">i1", 3: ">i2", 5: ">i4", 6: ">f4", 7: ">f8"}
"""Encodings of a Sun/NeXT .au file and their samples."""


def to_picture(wave: np.ndarray, rate: int, spectrogram: Spectrogram = FULL) -> np.ndarray:
    """The picture (bins, width, 3) uint8 of the beginning of a clip: grey, louder is darker, silence is white.

    ``wave`` is (samples,) or (samples, channels), averaged. Raises ValueError for a clip that is shorter than the
    duration or not finite.

    >>> to_picture(np.sin(np.arange(44_100 * 6) / 10), 44_100).shape
    (512, 512, 3)
    """
    mel = mel_magnitudes(beginning(wave, rate, spectrogram), spectrogram)
    loudest = mel.max()
    level = (mel / loudest) ** spectrogram.power if loudest else mel
    grey = np.rint(255 * (1 - level)).astype(np.uint8)[::-1]
    return np.repeat(grey[..., None], 3, axis=2)


def beginning(wave: np.ndarray, rate: int, spectrogram: Spectrogram = FULL) -> np.ndarray:
    """The samples (length,) float64 that a picture shows: mono, at the spectrogram's rate; errors as in to_picture."""
    from scipy.signal import resample_poly

    mono = np.asarray(wave, float)
    mono = mono.mean(1) if mono.ndim == 2 else mono
    wanted = math.ceil(rate * spectrogram.duration / 1000)
    if mono.ndim != 1 or len(mono) < wanted:
        raise ValueError(
            f"A clip of at least {spectrogram.duration / 1000:g} s was expected, that is {wanted} samples; got "
            f"{mono.shape}. Leave it out, or pad it with silence if that is what it should mean."
        )
    mono = mono[: wanted + rate // 10]  # a little more, so that the resampling filter does not meet an end
    if not np.isfinite(mono).all():
        raise ValueError("A clip holds samples that are not finite numbers. Leave it out or mend it.")
    if rate != spectrogram.rate:
        shared = math.gcd(rate, spectrogram.rate)
        mono = resample_poly(mono, spectrogram.rate // shared, rate // shared)
    return mono[: spectrogram.length]


def mel_magnitudes(samples: np.ndarray, spectrogram: Spectrogram = FULL) -> np.ndarray:
    """Magnitudes (bins, width) of ``samples`` (length,), low frequencies first; column k is centred on step k.

    >>> mel_magnitudes(np.zeros(POCKET.length), POCKET).shape
    (64, 64)
    """
    from scipy.fft import rfft

    window = _window(spectrogram)
    edge = len(window) // 2
    padded = np.pad(samples, (edge, len(window) - edge), mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, len(window))[:: spectrogram.hop][: spectrogram.width]
    filters = _filters(spectrogram)
    return filters.T @ np.abs(rfft(frames * window, len(window) * spectrogram.padding)[:, : filters.shape[0]]).T


def to_waveform(picture: np.ndarray, spectrogram: Spectrogram = FULL, rounds: int = 32) -> np.ndarray:
    """A sound (length,) float32 at the spectrogram's rate that looks like a picture (bins, width, 3); its peak is 0.9.

    Non-negative magnitudes whose mel sums are the picture's, with phases by ``rounds`` of the fast
    Griffin-Lim algorithm (Perraudin, Balazs and Søndergaard 2013) from fixed random ones: equal pictures give equal
    sounds. A white picture is silence. Raises ValueError for a picture of another size.

    >>> white = np.full((64, 64, 3), 255, np.uint8)
    >>> to_waveform(white, POCKET).any()
    np.False_
    """
    import torch

    from models.media.stft import ShortTime, few_threads

    if picture.shape != (spectrogram.bins, spectrogram.width, 3):
        raise ValueError(
            f"A spectrogram of {spectrogram.bins} x {spectrogram.width} pixels was expected, got {picture.shape}. "
            "Resize the picture, or give the settings it was made with."
        )
    mel = (1 - picture.mean(2)[::-1] / 255) ** (1 / spectrogram.power)
    kept = _unmixed(mel, spectrogram)[:: spectrogram.padding]  # what an unpadded transform sees
    magnitudes = torch.from_numpy(np.pad(kept, ((0, 0), (0, 1)), mode="edge").astype(np.float32))
    turns = torch.rand(magnitudes.shape, generator=torch.Generator().manual_seed(0))
    phases, before = torch.polar(torch.ones_like(turns), 2 * torch.pi * turns), None
    transform = ShortTime(_window(spectrogram), spectrogram.hop, spectrogram.length)
    with few_threads(magnitudes):
        for _ in range(rounds):
            heard = transform.forth(transform.back(magnitudes * phases))
            ahead = heard if before is None else (heard - before).mul_(MOMENTUM).add_(heard)
            phases, before = ahead / ahead.abs().clamp_(min=1e-12), heard
        sound = transform.back(magnitudes * phases).numpy()
    return (sound * 0.9 / max(np.abs(sound).max(), 1e-12)).astype(np.float32)


def waveform_at(picture: np.ndarray, spectrogram: Spectrogram, rate: int) -> np.ndarray:
    """The sound (samples,) float32 of a picture (bins, width, 3) at ``rate`` samples per second, as long as the clip.

    Raises ValueError for a picture that is not of the spectrogram's size.

    >>> waveform_at(np.full((64, 64, 3), 255, np.uint8), POCKET, 16_000).shape
    (81920,)
    """
    from scipy.signal import resample_poly

    wave = to_waveform(picture, spectrogram)
    shared = math.gcd(rate, spectrogram.rate)
    return wave if rate == spectrogram.rate else resample_poly(wave, rate // shared, spectrogram.rate // shared)


def _unmixed(mel: np.ndarray, spectrogram: Spectrogram, rounds: int = 30) -> np.ndarray:
    """Magnitudes (frequencies, width) whose mel sums are ``mel``, by the update rule of Lee and Seung (2001)."""
    filters = _filters(spectrogram)
    reach, width = filters.sum(1)[:, None], filters.sum(0)[:, None]
    magnitudes = filters @ (mel / width)
    for _ in range(rounds):
        magnitudes *= filters @ (mel / np.maximum(filters.T @ magnitudes, 1e-12)) / np.maximum(reach, 1e-12)
    above = len(_window(spectrogram)) * spectrogram.padding // 2 + 1 - len(magnitudes)
    return np.pad(magnitudes, ((0, above), (0, 0)))


def read_audio(path: Path) -> tuple[np.ndarray, int]:
    """The samples (samples,) or (samples, channels) float32 of a .wav or .au file, in [-1, 1], and their rate.

    Raises FileNotFoundError where there is no such file and ValueError for one that is of another or a broken format.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no sound {path}. Check the corpus's folder.")
    if path.suffix.lower() == ".au":
        return _read_au(path)
    if path.suffix.lower() != ".wav":
        raise ValueError(f"{path.name} is neither a .wav nor a .au file. Convert it to .wav first.")
    from scipy.io import wavfile

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wavfile.WavFileWarning)  # of chunks that are not sound
        try:
            rate, samples = wavfile.read(path)
        except (ValueError, struct.error) as error:
            raise ValueError(f"{path.name} cannot be read as .wav: {error} Leave it out or fetch it again.") from None
    return _unit(samples), int(rate)


def _read_au(path: Path) -> tuple[np.ndarray, int]:
    """A Sun/NeXT file: six big-endian words (magic, offset, size, encoding, rate, channels), then the samples."""
    data = path.read_bytes()
    magic, offset, _, encoding, rate, channels = struct.unpack(">4s5I", data[:24].ljust(24, b"\0"))
    if magic != b".snd" or encoding not in LINEAR or not channels or offset > len(data):
        raise ValueError(
            f"{path.name} is no .au file of linear samples (encoding {encoding}). Leave it out or convert it to .wav."
        )
    kind = np.dtype(LINEAR[encoding])
    whole = (len(data) - offset) // (kind.itemsize * channels) * channels
    samples = np.frombuffer(data, kind, max(whole, 0), offset)
    return _unit(samples.reshape(-1, channels) if channels > 1 else samples), rate


def _unit(samples: np.ndarray) -> np.ndarray:
    """Integer samples as float32 in [-1, 1]; floats as they are."""
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    middle = 128 if samples.dtype.kind == "u" else 0  # 8-bit .wav files are unsigned
    return ((samples.astype(np.float64) - middle) / 2.0 ** (8 * samples.itemsize - 1)).astype(np.float32)


def _window(spectrogram: Spectrogram) -> np.ndarray:
    from scipy.signal.windows import hann

    return hann(spectrogram.rate * spectrogram.window // 1000, sym=False)


@functools.lru_cache(maxsize=4)
def _filters(spectrogram: Spectrogram) -> csr_array:
    """Weights (frequencies up to the highest that counts, bins) of the HTK mel filters."""
    from scipy.sparse import csr_array
    from transformers.audio_utils import mel_filter_bank

    frequencies = len(_window(spectrogram)) * spectrogram.padding // 2 + 1
    weights = mel_filter_bank(frequencies, spectrogram.bins, spectrogram.low, spectrogram.high, spectrogram.rate)
    return csr_array(weights[: np.flatnonzero(weights.any(1))[-1] + 1])
