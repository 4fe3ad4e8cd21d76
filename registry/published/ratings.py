"""What published human ratings allow to say of scores: how far they go with what people said of real pictures."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import yaml

FILE = Path(__file__).with_name("ratings.yaml")


class Rated(NamedTuple):
    """A score beside people's judgement of the same ``n`` things, of so many pictures or prompts."""

    source: str
    score: str
    people: str
    spearman: float
    low: float
    high: float
    n: int
    clusters: str


def rated() -> list[Rated]:
    """All of them, in their order.

    >>> [one.spearman for one in rated() if one.source.startswith("DSG")]
    [0.463, 0.464]
    """
    return [Rated(**one) for one in yaml.safe_load(FILE.read_text(encoding="utf-8"))]
