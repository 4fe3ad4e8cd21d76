"""Dots of judges on the axis of their agreement with the truth, panel by panel: where everything stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from reports.figures.plane import Tick
from reports.statistics.claims.judging import Estimate

LABELS, PANEL, GAP = 190, 230, 30
"""Room for the names of judges, a panel's width, and what lies between two."""

LINE, APART, TOP, FOOT = 9, 9, 26, 40
"""Height of a dot's line, between judges, above and below all."""

COLOURS = {"precision": 0, "recall": 1}


class Dot(NamedTuple):
    """An agreement with its 95 % interval."""

    colour: int
    x: float
    low: float
    high: float
    y: float
    title: str


class Panel(NamedTuple):
    """What the truth is about."""

    title: str
    left: float
    right: float
    zero: float
    ticks: list[Tick]
    dots: list[Dot]


class Row(NamedTuple):
    """A judge, and where its name stands."""

    name: str
    y: float


class Agreement(NamedTuple):
    panels: list[Panel]
    rows: list[Row]
    width: int
    height: int
    bottom: float


def drawn(
    judges: Sequence[str], found: Mapping[tuple[str, str, str], Estimate], titles: Mapping[str, str]
) -> Agreement:
    """The figure of judges and their agreement by judge, family and ratio; ``titles`` are those of the families."""
    tall = len(COLOURS) * LINE + APART
    rows = [Row(name, TOP + place * tall + LINE + 4) for place, name in enumerate(judges)]
    panels = []
    for place, (family, title) in enumerate(titles.items()):
        left = LABELS + place * (PANEL + GAP)

        def across(value: float, left: float = left) -> float:
            return round(left + (value + 1) / 2 * PANEL, 1)

        dots = []
        for row, judge in enumerate(judges):
            for line, (ratio, colour) in enumerate(COLOURS.items()):
                one = found.get((judge, family, ratio))
                if one is None or one.value is None or one.low is None or one.high is None:
                    continue
                y = TOP + row * tall + (line + 0.5) * LINE
                words = f"{judge}, {ratio} of {title}: {one.value:+.2f} [{one.low:+.2f}, {one.high:+.2f}], n = {one.n}"
                ends = across(one.value), across(one.low), across(one.high)
                dots.append(Dot(colour, *ends, y, words.replace("-", "−")))
        ticks = [Tick(across(at), f"{at:+g}".replace("-", "−").replace("+0", "0")) for at in (-1, -0.5, 0, 0.5, 1)]
        panels.append(Panel(title, left, left + PANEL, across(0.0), ticks, dots))
    bottom = TOP + len(judges) * tall
    return Agreement(panels, rows, LABELS + len(panels) * (PANEL + GAP), bottom + FOOT, bottom)
