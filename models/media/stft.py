"""The short-time Fourier transform and its inverse; needs torch, so it is imported where a sound is made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

SMALL = 1 << 18
"""Values that one thread works through faster than several, which wait for each other."""


class ShortTime:
    """The transform of a clip of ``length`` samples: windows of all of it, ``hop`` samples apart, centred on steps.

    >>> transform = ShortTime(np.hanning(8), 4, 32)
    >>> spectrum = transform.forth(torch.arange(32.0))
    >>> spectrum.shape, transform.back(spectrum).shape
    (torch.Size([5, 9]), torch.Size([32]))
    """

    def __init__(self, window: np.ndarray, hop: int, length: int) -> None:
        self.window = torch.from_numpy(window.astype(np.float32))
        self.hop, self.length = hop, length
        self.weight = self._overlapped(self.window.square().repeat(length // hop + 1, 1))

    def forth(self, sound: torch.Tensor) -> torch.Tensor:
        """The spectrum (frequencies, frames) complex of a sound (length,)."""
        return torch.stft(sound, len(self.window), self.hop, window=self.window, return_complex=True)

    def back(self, spectrum: torch.Tensor) -> torch.Tensor:
        """The sound (length,) of a spectrum: bit for bit what ``torch.istft`` gives, which takes four times as long.

        That sums the squared windows each time anew, and adds frames sample by sample.
        """
        return self._overlapped(torch.fft.irfft(spectrum.T, len(self.window)).mul_(self.window)).div_(self.weight)

    def _overlapped(self, frames: torch.Tensor) -> torch.Tensor:
        """The sum (length,) of frames (frames, window), each a hop behind the one before, in their order."""
        blocks = -(-len(self.window) // self.hop)
        padded = torch.nn.functional.pad(frames, (0, blocks * self.hop - len(self.window)))
        padded = padded.view(len(frames), blocks, self.hop)
        summed = padded.new_zeros(len(frames) + blocks - 1, self.hop)
        for block in reversed(range(blocks)):
            summed[block : block + len(frames)] += padded[:, block]
        return summed.view(-1)[len(self.window) // 2 :][: self.length]


@contextmanager
def few_threads(values: torch.Tensor) -> Iterator[None]:
    """Compute with one thread where the values are few."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if values.numel() < SMALL else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
