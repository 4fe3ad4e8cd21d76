"""Sound as a picture: what Riffusion's parameters mean, by formulas, PyTorch and other writers of files."""

import struct
import wave as stdlib_wave

import numpy as np
import pytest
from scipy.io import wavfile

from models.adapters.settings import validated
from models.media.audio import FULL, POCKET, Spectrogram, beginning, mel_magnitudes, read_audio, to_picture, to_waveform
from models.worlds.spectrograms import clip


def mel_edges(spectrogram):
    """Corners of the triangles: evenly spaced in HTK mels, m = 2595 log10(1 + f / 700) (Young et al., The HTK Book)."""
    top = 2595 * np.log10(1 + spectrogram.high / 700)
    return 700 * (10 ** (np.linspace(0, top, spectrogram.bins + 2) / 2595) - 1)


def sine(frequency, rate=44_100, seconds=5.2):
    return np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)


def test_the_defaults_are_the_papers():
    assert (FULL.bins, FULL.width, FULL.length, FULL.hop) == (512, 512, 225_792, 441)
    assert FULL.length / FULL.rate == POCKET.length / POCKET.rate == 5.12
    for spectrogram, side in ((FULL, 512), (POCKET, 64)):
        picture = to_picture(sine(440), 44_100, spectrogram)
        assert picture.shape == (side, side, 3) and picture.dtype == np.uint8
        assert (picture == picture[..., :1]).all()


@pytest.mark.parametrize(("spectrogram", "bin"), [(FULL, 60), (FULL, 250), (FULL, 480), (POCKET, 20), (POCKET, 55)])
def test_a_sine_is_darkest_in_its_own_row_counted_from_below(spectrogram, bin):
    picture = to_picture(sine(mel_edges(spectrogram)[bin + 1]), 44_100, spectrogram)[..., 0]
    inner = picture[:, 8:-8]
    rows = spectrogram.bins - 1 - inner.argmin(axis=0)
    assert set(rows) <= {bin - 1, bin, bin + 1}


def test_magnitudes_are_riffusions():
    """Riffusion's path: torchaudio's Spectrogram, which is torch.stft, and MelScale, which is triangles in hertz."""
    import torch

    samples = np.random.default_rng(0).standard_normal(FULL.length)
    window = torch.hann_window(4410, dtype=torch.float64)
    spectrum = torch.stft(torch.from_numpy(samples), n_fft=17_640, hop_length=441, win_length=4410, window=window,
                          center=True, pad_mode="reflect", return_complex=True).abs().numpy()  # fmt: skip
    assert spectrum.shape == (8821, 513)
    frequencies, edges = np.arange(8821) * 44_100 / 17_640, mel_edges(FULL)
    up = (frequencies - edges[:-2, None]) / np.diff(edges)[:-1, None]
    down = (edges[2:, None] - frequencies) / np.diff(edges)[1:, None]
    triangles = np.clip(np.minimum(up, down), 0, None)
    some = np.r_[:12, 250, 500:512]
    np.testing.assert_allclose(mel_magnitudes(samples)[:, some], triangles @ spectrum[:, some], rtol=1e-6, atol=1e-6)


def test_the_grey_levels_are_the_fourth_root_of_the_share_of_the_loudest():
    samples = sine(1000) + 0.5 * sine(4000)
    mel = mel_magnitudes(beginning(samples, 44_100))
    wanted = 255 - 255 * np.sqrt(np.sqrt(mel / mel.max()))
    assert np.abs(to_picture(samples, 44_100)[::-1, :, 0] - wanted).max() <= 0.5 + 1e-9


def test_silence_is_white_loudness_is_lost_and_time_goes_right():
    click = np.zeros(44_100 * 6)
    assert (to_picture(click, 44_100) == 255).all()
    click[round(44_100 * 3.84)] = 1
    picture = to_picture(click, 44_100)
    assert abs(picture[..., 0].mean(axis=0).argmin() - 384) <= 1
    assert np.array_equal(to_picture(click / 4, 44_100), picture)
    assert np.array_equal(to_picture(np.stack([click, np.zeros_like(click)], axis=1), 44_100), picture)


def test_only_the_beginning_counts_and_the_rate_of_the_file_does_not():
    picture = to_picture(sine(700), 44_100, POCKET).astype(int)
    changed = np.concatenate([sine(700)[:229_320], np.ones(99_999)])
    assert np.array_equal(to_picture(changed, 44_100, POCKET), picture)
    for rate in (16_000, 22_050, 48_000):
        difference = to_picture(sine(700, rate), rate, POCKET) - picture
        assert np.abs(difference[picture < 128]).mean() < 6, "what is loud stays; the resampling filters' floors differ"


def roundtrip(samples, spectrogram):
    picture = to_picture(samples, POCKET.rate, spectrogram)
    heard = to_waveform(picture, spectrogram)
    assert heard.shape == (spectrogram.length,) and heard.dtype == np.float32
    assert np.abs(heard).max() == pytest.approx(0.9)
    return np.abs(to_picture(heard, spectrogram.rate, spectrogram).astype(int) - picture).mean()


@pytest.mark.parametrize("index", range(10))
def test_a_sound_made_from_a_picture_looks_like_it(index):
    """Measured: 0.1 to 4.6 grey levels on these ten clips; pictures of two of them differ by 69 on average."""
    assert roundtrip(clip(3, index)[0], POCKET) < 6


def test_the_same_at_full_size():
    """Measured: 1.5 grey levels."""
    assert roundtrip(clip(3, 1)[0], FULL) < 4


def test_a_sound_made_from_a_picture_has_its_pitch():
    picture = to_picture(sine(1234), 44_100, POCKET)
    heard = to_waveform(picture, POCKET)
    assert np.abs(np.fft.rfft(heard)).argmax() / 5.12 == pytest.approx(1234, abs=25), "a third of the row's width"
    assert np.array_equal(heard, to_waveform(picture, POCKET))


def test_what_cannot_be_a_picture_is_refused():
    with pytest.raises(ValueError, match=r"at least 5\.12 s was expected, that is 225792 samples"):
        to_picture(np.zeros(225_791), 44_100)
    with pytest.raises(ValueError, match="not finite"):
        to_picture(np.full(300_000, np.nan), 44_100)
    with pytest.raises(ValueError, match="512 x 512 pixels was expected"):
        to_waveform(np.zeros((64, 64, 3), np.uint8))


@pytest.mark.parametrize(
    ("options", "said"),
    [({"high": 30_000}, "half of the rate"), ({"step": 7}, "divides the duration"), ({"rate": 22_050}, "whole samples"),
     ({"window": 10}, "shorter than the window"), ({"bin": 3}, 'did you mean "bins"')],
)  # fmt: skip
def test_settings_that_do_not_fit_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        validated("spectrogram", Spectrogram, options)


SAMPLES = np.array([[0, 16384], [-32768, 32767], [1, -1]], np.int16)
HEARD = SAMPLES / 32768


def au(encoding, rate, channels, data, magic=b".snd", note=b"note"):
    return struct.pack(">4s5I", magic, 24 + len(note), len(data), encoding, rate, channels) + note + data


def test_wav_files_are_read(tmp_path):
    with stdlib_wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((2, 2, 22_050, 0, "NONE", ""))
        file.writeframes(SAMPLES.astype("<i2").tobytes())
    heard, rate = read_audio(tmp_path / "a.wav")
    assert rate == 22_050 and heard.dtype == np.float32
    np.testing.assert_allclose(heard, HEARD, atol=1e-7)
    wavfile.write(tmp_path / "b.wav", 8000, np.array([0, 128, 255], np.uint8))
    wavfile.write(tmp_path / "c.WAV", 8000, np.array([-1, 0, 0.5], np.float32))
    np.testing.assert_allclose(read_audio(tmp_path / "b.wav")[0], [-1, 0, 127 / 128])
    np.testing.assert_allclose(read_audio(tmp_path / "c.WAV")[0], [-1, 0, 0.5])


def test_au_files_are_read(tmp_path):
    (tmp_path / "stereo.au").write_bytes(au(3, 44_100, 2, SAMPLES.astype(">i2").tobytes()))
    (tmp_path / "mono.au").write_bytes(au(6, 8000, 1, HEARD.ravel().astype(">f4").tobytes()))
    heard, rate = read_audio(tmp_path / "stereo.au")
    assert rate == 44_100
    np.testing.assert_allclose(heard, HEARD, atol=1e-7)
    np.testing.assert_allclose(read_audio(tmp_path / "mono.au")[0], HEARD.ravel(), atol=1e-7)


@pytest.mark.filterwarnings("ignore:.*sunau.*:DeprecationWarning")
def test_au_files_of_another_writer_are_read(tmp_path):
    """Python's own writer, while it lasts (until 3.12), gives GTZAN's format: 16 bits, one channel, 22,050 Hz."""
    sunau = pytest.importorskip("sunau", reason="Python 3.13 has no sunau")
    with sunau.open(str(tmp_path / "blues.00000.au"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(22_050)
        file.setcomptype("NONE", "")
        file.writeframes(SAMPLES.ravel().astype(">i2").tobytes())
    heard, rate = read_audio(tmp_path / "blues.00000.au")
    assert rate == 22_050
    np.testing.assert_allclose(heard, HEARD.ravel(), atol=1e-7)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [("a.mp3", b"ID3", "neither a .wav nor a .au"), ("a.au", au(1, 8000, 1, b"12"), "encoding 1"),
     ("a.au", b".sn", "no .au file"), ("a.au", au(3, 8000, 0, b"12"), "no .au file"),
     ("a.au", au(3, 8000, 1, b"12", b"RIFF"), "no .au file"), ("a.au", au(3, 8000, 1, b"")[:24], "no .au file"),
     ("a.wav", b"RIFFabcdWAVE", "cannot be read"),
     ("a.wav", b"", "cannot be read"), ("a.wav", b"GIF89a", "cannot be read")],
)  # fmt: skip
def test_other_and_broken_files_are_refused(tmp_path, name, data, said):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=said):
        read_audio(tmp_path / name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no sound"):
        read_audio(tmp_path / "none.wav")
