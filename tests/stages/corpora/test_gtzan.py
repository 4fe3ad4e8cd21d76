"""Small files in the layout of GTZAN: 16-bit mono, .wav as its mirrors have it and .au as its authors released it."""

from __future__ import annotations

import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from models.media.audio import Spectrogram, to_picture
from stages.corpora import Problem, Sample, open_corpus
from stages.corpora.pictures import Unreadable

SMALL = {"rate": 8000, "duration": 1280, "step": 80, "window": 160, "padding": 1, "bins": 16, "high": 4000}
RATE = 8000


def tone(frequency: float, seconds: float = 1.4) -> np.ndarray:
    time = np.arange(int(RATE * seconds)) / RATE
    return np.rint(20_000 * np.sin(2 * np.pi * frequency * time)).astype(np.int16)


def clips(folder: Path, count: int = 6, genres: tuple[str, ...] = ("blues", "jazz")) -> Path:
    """A genre's clip k is a tone of its own."""
    for number, genre in enumerate(genres):
        (folder / genre).mkdir(parents=True)
        for k in range(count):
            wavfile.write(folder / genre / f"{genre}.{k:05}.wav", RATE, tone(300 + 500 * number + 60 * k))
    return folder


def read(path: Path, **options) -> tuple[list[Sample], list[Problem]]:
    settings = {"path": path, "genres": ["blues", "jazz"], "spectrogram": SMALL, **options}
    found = list(open_corpus("gtzan", settings).samples())
    return [each for each in found if isinstance(each, Sample)], [each for each in found if isinstance(each, Problem)]


def test_a_clip_is_its_spectrogram_and_its_genre(tmp_path):
    samples, problems = read(clips(tmp_path), seed=None)
    assert problems == []
    assert [sample.sample for sample in samples] == [f"{g}.{k:05}" for g in ("blues", "jazz") for k in range(6)]
    first = samples[0]
    assert (first.references, first.split, first.annotations) == (("blues",), "all", {})
    assert np.array_equal(first.picture(), to_picture(tone(300) / 2.0**15, RATE, Spectrogram(**SMALL)))
    assert first.picture().shape == (16, 16, 3)
    assert len({str(sample.source) for sample in samples}) == len(samples)


def test_so_many_of_each_genre_are_drawn_uniformly(tmp_path):
    folder = clips(tmp_path)
    drawn = {seed: [sample.sample for sample in read(folder, per_genre=2, seed=seed)[0]] for seed in range(60)}
    assert all(Counter(name.split(".")[0] for name in names) == {"blues": 2, "jazz": 2} for names in drawn.values())
    counts = Counter(name for names in drawn.values() for name in names)
    # Each of 12 clips is expected 60 · 2 / 6 = 20 times, with a standard deviation of √(60 · 1/3 · 2/3) = 3.7.
    assert len(counts) == 12 and max(abs(count - 20) for count in counts.values()) < 4 * 3.7
    assert read(folder, per_genre=2, seed=3)[0] == read(folder, per_genre=2, seed=3)[0]


def test_a_smaller_limit_is_the_head_of_a_larger_one(tmp_path):
    folder = clips(tmp_path)
    every = [sample.sample for sample in read(folder)[0]]
    assert len(every) == 12 and {name.split(".")[0] for name in every[:6]} == {"blues", "jazz"}
    assert [sample.sample for sample in read(folder, limit=5)[0]] == every[:5]


def test_the_broken_clip_of_the_mirror_is_told_and_replaced(tmp_path):
    """jazz.00054.wav there is no RIFF file; others stand for what else can be wrong."""
    folder = clips(tmp_path)
    (folder / "jazz/jazz.00054.wav").write_bytes(b"\0" * 2000)
    (folder / "jazz/jazz.00001.wav").write_bytes((folder / "jazz/jazz.00001.wav").read_bytes()[:30])
    wavfile.write(folder / "jazz/jazz.00002.wav", RATE, tone(500, seconds=1))
    (folder / "jazz/jazz.00003.wav").unlink()
    (folder / "jazz/jazz.00003.wav").mkdir()
    samples, problems = read(folder)
    assert Counter(sample.references[0] for sample in samples) == {"blues": 6, "jazz": 3}
    told = {problem.sample: problem for problem in problems}
    assert set(told) == {f"jazz.{k:05}" for k in (1, 2, 3, 54)}
    assert all(problem.kind == "unreadable_sound" and problem.message.endswith(".") for problem in problems)
    assert "jazz.00054.wav cannot be read as .wav" in told["jazz.00054"].message
    assert "A clip of at least 1.28 s was expected" in told["jazz.00002"].message
    for seed in range(8):  # whoever is drawn, three good clips are found
        assert sum(sample.references == ("jazz",) for sample in read(folder, per_genre=3, seed=seed)[0]) == 3


def test_the_original_release_gives_the_same_pictures(tmp_path):
    """Sun .au: six big-endian words (magic, offset, size, encoding 3 = 16-bit linear, rate, channels), then samples."""
    wavs = clips(tmp_path / "wav", 2)
    for path in wavs.rglob("*.wav"):
        samples = wavfile.read(path)[1].astype(">i2").tobytes()
        header = struct.pack(">4s5I8s", b".snd", 32, len(samples), 3, RATE, 1, b"GTZAN\0\0\0")
        other = tmp_path / "au" / path.parent.name / f"{path.stem}.au"
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_bytes(header + samples)
    (tmp_path / "au/blues/._blues.00000.au").write_bytes(b"left behind by a Mac")
    (released, problems), (mirrored, _) = read(tmp_path / "au"), read(wavs)
    assert problems == []
    for one, other in zip(released, mirrored, strict=True):
        assert one.sample == other.sample and np.array_equal(one.picture(), other.picture())


def test_the_paper_s_settings_are_the_defaults():
    settings = open_corpus("gtzan", {"path": "somewhere"}).settings
    assert (settings.per_genre, len(settings.genres), settings.seed) == (50, 10, 0)
    shown = settings.spectrogram
    assert (shown.rate, shown.duration, shown.step, shown.bins, shown.high) == (44_100, 5120, 10, 512, 10_000)


def test_a_path_that_is_no_gtzan_and_a_genre_that_is_none(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no clip \(.wav or .au\) of GTZAN in .*jazz. Correct the corpus's"):
        read(clips(tmp_path, genres=("blues",)))
    with pytest.raises(ValueError, match='The setting "genres.0" of corpus gtzan should be'):
        read(tmp_path, genres=["techno"])


def test_a_clip_that_breaks_after_listing_is_unreadable(tmp_path):
    samples, _ = read(clips(tmp_path, 1))
    (tmp_path / "jazz/jazz.00000.wav").write_bytes(b"")
    with pytest.raises(Unreadable, match="jazz.00000.wav"):
        next(sample for sample in samples if sample.references == ("jazz",)).picture()


def test_changing_a_file_or_a_setting_changes_the_source(tmp_path):
    folder = clips(tmp_path, 1)
    (before, kept), _ = read(folder, seed=None)
    wavfile.write(folder / "blues/blues.00000.wav", RATE, tone(333))
    (after, same), _ = read(folder, seed=None)
    assert before.source != after.source and kept.source == same.source
    assert read(folder, spectrogram=SMALL | {"power": 0.5})[0][0].source not in (after.source, same.source)
