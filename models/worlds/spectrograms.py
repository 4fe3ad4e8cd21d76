"""The ``spectrograms`` world: 5.12 s of synthesised sound of ten kinds as a mel-spectrogram, captioned by its label.

The captions are poor on purpose: like the genres of GTZAN they name the kind and nothing else, though the picture shows
pitch, tempo and more. "How Do Inpainting Artifacts Propagate to Language?" (appendix F) holds such captions responsible
where the quality of captions does not follow that of reconstructions.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from models.media.audio import POCKET, to_picture
from models.worlds import Example

WORLD_VERSION = 2
"""Raised when the same (seed, index) gives another clip, picture or caption."""

RATE = POCKET.rate
DURATION = POCKET.duration / 1000
TIME = np.arange(POCKET.length) / RATE
NOISE = (-4.0, -2.0)
"""Range of the noise floor, as a power of ten of the clip's peak: from none to be seen to a grey veil."""

WORDINGS = ("{0}", "a {0} sound", "this is a {0} sound")

Parameters = dict[str, float]
Kind = Callable[[Parameters, np.random.Generator], np.ndarray]


def _voice(frequency: np.ndarray | float, harmonics: int = 1) -> np.ndarray:
    """A sustained tone whose frequency may change, and its harmonics, each fainter than the one below."""
    tone = power = np.exp(2j * np.pi * np.cumsum(np.broadcast_to(frequency, TIME.shape)) / RATE)
    wave = tone.imag.copy()
    for order in range(2, harmonics + 1):
        power = power * tone
        wave += power.imag / order
    return wave


def _strike(wave: np.ndarray, start: float, decay: float, *frequencies: float) -> None:
    """Add tones that start together and fade, the higher the sooner; ``decay`` is the time to a third in seconds."""
    first = round(start * RATE)
    length = min(len(TIME) - first, round(8 * decay * RATE))
    near, far = np.arange(256), 256 * np.arange(length // 256 + 1)
    for order, frequency in enumerate(frequencies, 1):
        turn = (2j * np.pi * frequency - order / decay) / RATE  # exp(turn n), n = far + near: two short exponentials
        ring = np.exp(turn * far)[:, None] * np.exp(turn * near)
        wave[first : first + length] += ring.imag.ravel()[:length] / order


def _siren(p: Parameters, rng: np.random.Generator) -> np.ndarray:
    return _voice(p["pitch"] * 2 ** (p["octaves"] / 2 * np.sin(2 * np.pi * TIME / p["period"])), 2)


def _rising(p: Parameters, rng: np.random.Generator) -> np.ndarray:
    along = np.clip((TIME - p["start"]) / p["length"], 0, 1)
    return _voice(p["low"] * (p["high"] / p["low"]) ** along, 2) * ((along > 0) & (along < 1))


def _falling(p: Parameters, rng: np.random.Generator) -> np.ndarray:
    along = np.clip((TIME - p["start"]) / p["length"], 0, 1)
    return _voice(p["high"] * (p["low"] / p["high"]) ** along, 2) * ((along > 0) & (along < 1))


def _drums(p: Parameters, rng: np.random.Generator) -> np.ndarray:
    wave = np.zeros_like(TIME)
    for beat, start in enumerate(np.arange(p["start"], DURATION - 0.05, 60 / p["beats_per_minute"])):
        _strike(wave, start, 0.07, p["pitch"])
        first, decay = round(start * RATE), 0.05 if beat % 2 else 0.02
        time = TIME[: min(len(TIME) - first, RATE // 4)]
        wave[first : first + len(time)] += p["snare"] * rng.standard_normal(len(time)) * np.exp(-time / decay)
    return wave


def _chord(p: Parameters, rng: np.random.Generator) -> np.ndarray:
    wave = np.zeros_like(TIME)
    for start in np.arange(p["start"], DURATION - 0.4, p["gap"]):
        for interval in (0, p["third"], 7, 12):
            _strike(wave, start, 2.5, *(p["root"] * 2 ** (interval / 12) * np.arange(1, 4)))
    return wave


def _bell(p: Parameters, rng: np.random.Generator) -> np.ndarray:
    wave = np.zeros_like(TIME)
    for start in np.arange(p["start"], DURATION - 0.3, p["gap"]):
        _strike(wave, start, p["decay"], *(p["pitch"] * np.array([0.5, 1, 1.19, 2, 2.74, 5.4])))  # a minor-third bell
    return wave


def _hum(p: Parameters, rng: np.random.Generator) -> np.ndarray:
    return _voice(p["pitch"] * (1 + 0.004 * np.sin(2 * np.pi * 0.3 * TIME)), int(p["harmonics"]))


def _birds(p: Parameters, rng: np.random.Generator) -> np.ndarray:
    wave, start = np.zeros_like(TIME), p["start"]
    while start < DURATION - 0.2:
        first, time = round(start * RATE), TIME[: int(p["length"] * RATE)]
        along = time[: len(TIME) - first] / p["length"]
        bent = p["pitch"] * rng.uniform(0.85, 1.15) * 2 ** (p["octaves"] * np.abs(2 * along - 1))
        wave[first : first + len(along)] += np.sin(2 * np.pi * np.cumsum(bent) / RATE) * np.sin(np.pi * along)
        start += p["length"] + rng.uniform(0.1, p["gap"])
    return wave


def _wind(p: Parameters, rng: np.random.Generator) -> np.ndarray:
    spectrum = np.fft.rfft(rng.standard_normal(len(TIME)))
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(TIME), 1 / RATE), 1) / p["pitch"])
    blowing = np.fft.irfft(spectrum * np.exp(-((octaves / p["octaves"]) ** 2)), len(TIME))
    return blowing * (1.1 + np.sin(2 * np.pi * (TIME / p["period"] + p["start"])))


def _melody(p: Parameters, rng: np.random.Generator) -> np.ndarray:
    wave, steps = np.zeros_like(TIME), np.array([0, 2, 4, 7, 9, 12, 14, 16, 19])
    step = int(rng.integers(len(steps)))
    for start in np.arange(p["start"], DURATION - 0.1, p["gap"]):
        _strike(wave, start, 0.4 * p["gap"], *(p["root"] * 2 ** (steps[step] / 12) * np.arange(1, 4)))
        step = int(np.clip(step + rng.choice([-3, -2, -1, 1, 2, 3]), 0, len(steps) - 1))
    return wave


KINDS: dict[str, tuple[Kind, dict[str, tuple[float, float]]]] = {
    "siren": (_siren, {"pitch": (800, 2000), "octaves": (0.7, 1.6), "period": (0.8, 2.4)}),
    "rising": (_rising, {"low": (100, 600), "high": (2500, 5500), "start": (0, 1), "length": (2.5, 4.1)}),
    "falling": (_falling, {"low": (100, 600), "high": (2500, 5500), "start": (0, 1), "length": (2.5, 4.1)}),
    "drum": (_drums, {"pitch": (55, 110), "snare": (0.3, 1.2), "start": (0, 0.4), "beats_per_minute": (70, 170)}),
    "chord": (_chord, {"root": (180, 420), "third": (3, 4), "start": (0, 0.6), "gap": (1.6, 3.2)}),
    "bell": (_bell, {"pitch": (600, 1500), "start": (0, 0.8), "gap": (1.2, 3), "decay": (0.8, 2)}),
    "hum": (_hum, {"pitch": (60, 220), "harmonics": (5, 14)}),
    "bird": (_birds, {"pitch": (2500, 4800), "octaves": (-0.6, 0.7), "length": (0.12, 0.35), "start": (0, 0.5),
                      "gap": (0.3, 0.9)}),
    "wind": (_wind, {"pitch": (300, 2000), "octaves": (1, 2), "period": (1.5, 5), "start": (0, 1)}),
    "melody": (_melody, {"root": (220, 700), "start": (0, 0.3), "gap": (0.22, 0.5)}),
}  # fmt: skip
"""Kind -> its synthesis, and the ranges of what varies: Hz, seconds, octaves, numbers and shares."""


def spectrogram(seed: int, index: int) -> Example:
    """Spectrogram ``index`` of the world ``seed``: equal arguments give equal bytes on every call and machine.

    ``graph`` is ``{"kind", "clip": {parameter: value}}``; one to three references differ in a few empty words.

    >>> made = spectrogram(1, 0)
    >>> made.picture.shape, made.graph["kind"] in KINDS, parse(made.references[0])["kind"] == made.graph["kind"]
    ((64, 64, 3), True, True)
    """
    kind, parameters, rng = _drawn(seed, index)
    wordings = rng.permutation(WORDINGS)[: rng.integers(1, 4)]
    references = [str(wording).format(kind) for wording in wordings]
    return Example(to_picture(*clip(seed, index), POCKET), {"kind": kind, "clip": parameters}, references)


def clip(seed: int, index: int) -> tuple[np.ndarray, int]:
    """The sound that :func:`spectrogram` pictures: samples (112896,) float32 with a peak of 0.9, and their rate.

    >>> wave, rate = clip(1, 0)
    >>> len(wave) / rate
    5.12
    """
    kind, parameters, _ = _drawn(seed, index)
    rng = np.random.default_rng([seed, index, 1])
    wave = KINDS[kind][0](parameters, rng)
    noise = rng.standard_normal(len(wave), dtype=np.float32)
    wave = (wave / np.abs(wave).max()).astype(np.float32) + np.float32(parameters["noise"]) * noise
    return wave * (np.float32(0.9) / np.abs(wave).max()), RATE


def _drawn(seed: int, index: int) -> tuple[str, Parameters, np.random.Generator]:
    rng = np.random.default_rng([seed, index])
    kind = str(rng.choice(list(KINDS)))
    parameters = {name: round(float(rng.uniform(*limits)), 3) for name, limits in KINDS[kind][1].items()}
    for whole in {"third", "harmonics"} & set(parameters):
        parameters[whole] = float(round(parameters[whole]))
    return kind, {**parameters, "noise": round(float(10 ** rng.uniform(*NOISE)), 5)}, rng


def parse(caption: str) -> dict[str, str | None]:
    """The kind that a caption names first, or None.

    >>> parse("This is a drum sound."), parse("a red ring")
    ({'kind': 'drum'}, {'kind': None})
    """
    found = re.search(rf"\b({'|'.join(KINDS)})s?\b", caption.lower())
    return {"kind": found[1] if found else None}


def agreement(found: dict[str, str | None], graph: dict[str, Any]) -> dict[str, float]:
    """Whether a parsed caption names the kind: 0 or 1; ``exact`` is the same, as there is nothing else to say.

    >>> agreement(parse("wind"), {"kind": "wind"})
    {'kind': 1.0, 'exact': 1.0}
    """
    right = float(found["kind"] == graph["kind"])
    return {"kind": right, "exact": right}
