"""Lessons of the pocket reviser: two pictures and a caption to be revised, or one picture and what is asked of it."""

from __future__ import annotations

import json
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np

from models.pocket.prompts import (
    ANALYSIS,
    EDIT,
    EDIT_WITHOUT_ANALYSIS,
    REVISE,
    REVISE_WITHOUT_ANALYSIS,
    REVISE_WITHOUT_TIPS,
    REVISED,
)
from models.training.drafts import analysis, case, painted
from models.worlds.grammar import Graph, references
from models.worlds.instructions import turns
from models.worlds.scenes import WORLD_VERSION, arranged, draw

FAULTS = (0.22, 0.2, 0.2, 0.15, 0.1, 0.08, 0.05)
"""How often a first caption has how many faults: the weakest captioner makes one in four words."""
SLIPS = {0.0: 0.3, 0.06: 0.35, 0.15: 0.25, 0.35: 0.1}
"""How unfaithful painters are, and how often."""
ASIDE = 0.03
"""How often the painting is of another scene altogether."""
ALONE = {EDIT: 0.5, EDIT_WITHOUT_ANALYSIS: 0.15, "": 0.35}
"""What is asked of one picture; nothing of these: descriptions and questions as of any captioner of the family."""
PAINTED = {REVISE: 0.7, REVISE_WITHOUT_TIPS: 0.12, REVISE_WITHOUT_ANALYSIS: 0.18}
SINGLES = 10_000_000
"""Where among a world's scenes those begin that are seen alone."""
VERSION = 1
"""Raised when the lessons change."""


class Lesson(NamedTuple):
    """Pictures (1 or 2, 64, 64, 3), what is asked about them, and the reply."""

    pictures: np.ndarray
    prompt: str
    reply: str


class Lessons(NamedTuple):
    """Pictures (N, 1 or 2, 64, 64, 3) uint8, prompts and replies."""

    pictures: np.ndarray
    prompts: list[str]
    replies: list[str]


def lesson(seed: int, two: bool, index: int) -> Lesson:
    """Lesson ``index`` of a seed about ``two`` pictures or one; equal arguments give equal lessons.

    >>> made = lesson(7, True, 0)
    >>> made.pictures.shape, made.reply.endswith("</revised caption>")
    ((2, 64, 64, 3), True)
    """
    rng = np.random.default_rng([seed, index if two else SINGLES + index])
    graph = arranged(rng)
    kinds = PAINTED if two else ALONE
    prompt = list(kinds)[rng.choice(len(kinds), p=list(kinds.values()))]
    if not prompt:
        asked = turns(graph, references(graph, rng), rng, 4)
        turn = asked[int(rng.integers(len(asked)))]
        return Lesson(draw(graph)[None], turn.question, turn.answer)
    one = case(graph, rng, int(rng.choice(len(FAULTS), p=FAULTS)))
    painting = None
    if two:
        slips = list(SLIPS)[rng.choice(len(SLIPS), p=list(SLIPS.values()))]
        painting = arranged(rng) if rng.random() < ASIDE else painted(one.shown, rng, slips)
    reply = wrap(str(one.right), REVISED)
    if prompt not in (REVISE_WITHOUT_ANALYSIS, EDIT_WITHOUT_ANALYSIS):
        reply = f"{wrap(analysis(graph, painting, one.faults), ANALYSIS)} {reply}"
    return Lesson(seen(graph, painting), prompt.format(caption=one.first), reply)


def seen(graph: Graph, painting: Graph | None) -> np.ndarray:
    """The original and, where there is one, the painting."""
    return np.stack([draw(one) for one in (graph, painting) if one])


def wrap(text: str, tags: tuple[str, str]) -> str:
    """A text between tags."""
    return f"{tags[0]} {text} {tags[1]}"


def lessons(seed: int, two: bool, count: int, build: Path) -> Lessons:
    """The first ``count`` lessons of a seed, made on all cores once and kept under ``build``."""
    path = build / "worlds" / f"revising-v{WORLD_VERSION}.{VERSION}-{seed}-{'pairs' if two else 'singles'}-{count}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        ranges = [range(at, min(at + 1000, count)) for at in range(0, count, 1000)]
        some = partial(_some, seed, two)
        if len(ranges) > 1:  # new processes, as a GPU's driver may be at work in this one
            with ProcessPoolExecutor(min(16, os.cpu_count() or 1), mp_context=get_context("spawn")) as pool:
                chunks = list(pool.map(some, ranges))
        else:
            chunks = [some(only) for only in ranges]
        np.save(path.with_suffix(".npy"), np.concatenate([chunk.pictures for chunk in chunks]))
        path.write_text(json.dumps([sum((c.prompts for c in chunks), []), sum((c.replies for c in chunks), [])]))
    return Lessons(np.load(path.with_suffix(".npy")), *json.loads(path.read_text()))


def _some(seed: int, two: bool, indices: range) -> Lessons:
    made = [lesson(seed, two, index) for index in indices]
    return Lessons(np.stack([one.pictures for one in made]), [one.prompt for one in made], [one.reply for one in made])
