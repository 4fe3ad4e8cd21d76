"""The short-time Fourier transform, beside torch's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal.windows import hann

from models.media.stft import SMALL, ShortTime, few_threads


@pytest.mark.parametrize(
    ("size", "hop", "frames"), [(3528, 1764, 64), (4410, 441, 32), (512, 160, 50), (4096, 4000, 9)]
)
def test_it_is_torchs_bit_for_bit(size, hop, frames):
    window, length = hann(size, sym=False), hop * frames
    transform = ShortTime(window, hop, length)
    sound = torch.randn(length, generator=torch.Generator().manual_seed(0))
    spectrum = transform.forth(sound)
    turned = spectrum * torch.polar(torch.ones(spectrum.shape), torch.rand(spectrum.shape))
    shape = {"n_fft": size, "hop_length": hop, "window": torch.from_numpy(window.astype(np.float32))}
    assert torch.equal(spectrum, torch.stft(sound, **shape, return_complex=True))
    assert torch.equal(transform.back(turned), torch.istft(turned, **shape, length=length))


def test_only_few_values_have_few_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with few_threads(torch.zeros(SMALL)):
        assert torch.get_num_threads() == 2
    with pytest.raises(KeyboardInterrupt), few_threads(torch.zeros(1)):
        assert torch.get_num_threads() == 1
        raise KeyboardInterrupt
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)
