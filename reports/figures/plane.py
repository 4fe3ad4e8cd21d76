"""Geometry and colours of the figures; the templates only draw them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from reports.asking.metrics import Metric
from reports.statistics.analysis import Correlation

WIDTH, HEIGHT = 600, 440
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 20, 52
FRAME = {
    "width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT, "top": TOP, "bottom": HEIGHT - BOTTOM
}  # fmt: skip
"""The figure's size and the sides of its plane."""

CHARACTER, LINE = 6.1, 15
"""Width of a character and height of a line of a label, in the figure's units."""

COLOURS, SHAPES = 8, 5
"""How many the style sheet and the template know; a longer axis starts again."""

SEVERAL = SHAPES
"""The shape of a point that stands for several degradations."""


class Square(NamedTuple):
    """One correlation of a heat map: ``strength`` is |r| in percent, ``beyond`` whether its interval excludes zero.

    ``interval`` is what stands in small type below it, "" where the pair has none.
    """

    text: str
    sign: str
    strength: int
    beyond: bool
    title: str
    interval: str = ""


class Line(NamedTuple):
    """The correlations of one fidelity metric; None where a pair has none."""

    metric: Metric
    squares: list[Square | None]


class HeatMap(NamedTuple):
    columns: list[Metric]
    lines: list[Line]


class Point(NamedTuple):
    """One configuration in the plane of two metrics."""

    label: str
    x: float
    y: float
    colour: int
    shape: int
    control: bool
    where: Mapping[str, str]
    """What the gallery is asked for to see examples of it; empty where it has none."""


class Mark(NamedTuple):
    """A point where it is drawn, and where its label starts (``anchor`` as in SVG)."""

    point: Point
    x: float
    y: float
    label_x: float
    label_y: float
    anchor: str
    title: str

    @property
    def leader(self) -> bool:
        """Whether the label stands so far off that a line has to lead to it."""
        return self.anchor != "middle" and not -12 < self.label_y - self.y < 20


class Tick(NamedTuple):
    at: float
    text: str


class Scatter(NamedTuple):
    """Everything that the SVG template needs."""

    x: Metric
    y: Metric
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    marks: list[Mark]
    outside: list[Point]
    """Controls beyond the frame, which is made for the points that are correlated."""

    reference: float | None
    """Where the originals' captions stand on the y axis; None where that would squeeze all points together."""

    reference_text: str
    frame: dict[str, int]


def heat_map(pairs: Sequence[Correlation], kind: str, xs: Sequence[Metric], ys: Sequence[Metric]) -> HeatMap:
    """Pearson's or Spearman's correlations (``kind``), a row per fidelity metric, a column per caption metric.

    Intervals are for new configurations; a pair that has none is not certain of its sign.
    """
    by_pair = {(pair.x, pair.y): pair for pair in pairs}
    columns = [y for y in ys if any(pair.y == y.name for pair in pairs)]
    lines = []
    for x in (x for x in xs if any(pair.x == x.name for pair in pairs)):
        squares: list[Square | None] = []
        for y in columns:
            pair = by_pair.get((x.name, y.name))
            squares.append(square(pair, kind, x, y) if pair else None)
        lines.append(Line(x, squares))
    return HeatMap(columns, lines)


def square(pair: Correlation, kind: str, x: Metric, y: Metric) -> Square:
    """One correlation as the heat map shows it."""
    r = getattr(pair, kind)
    low, high = (pair.spearman_low, pair.spearman_high) if kind == "spearman" else (pair.low, pair.high)
    known = low is not None and high is not None
    low, high = (-1.0, 1.0) if low is None or high is None else (low, high)
    text = f"{r:+.2f}".replace("-", "−")
    interval = f"[{low:+.2f}, {high:+.2f}]".replace("-", "−")
    short = f"{low:+.1f} … {high:+.1f}".replace("0.", ".").replace("-", "−") if known else ""
    title = f"{x.title} and {y.title}: {kind.title()} {text} {interval}, n = {pair.n}"
    return Square(text, "positive" if r > 0 else "negative", round(100 * abs(r)), low > 0 or high < 0, title, short)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers in [low, high], at most ``most``, in steps of 1, 2 or 5 times a power of ten.

    >>> ticks(0.031, 0.187)
    [0.05, 0.1, 0.15]
    """
    step = 10 ** math.floor(math.log10((high - low) / most))
    step *= next(factor for factor in (1, 2, 5, 10, 20) if (high - low) / (step * factor) <= most - 1)
    first = math.ceil(low / step)
    return [round(i * step, 10) for i in range(first, math.floor(high / step) + 1)]


def span(values: Sequence[float]) -> tuple[float, float]:
    """A range that holds the values with some air around them.

    >>> span([1.0, 3.0])
    (0.8, 3.2)
    """
    low, high = min(values), max(values)
    air = 0.1 * (high - low) or 0.1 * abs(high) or 1.0
    return round(low - air, 12), round(high + air, 12)


def scatter(points: Sequence[Point], x: Metric, y: Metric, reference: float | None) -> Scatter:
    """Place points, ticks and labels; a label avoids points and the labels before it."""
    tested = [p for p in points if not p.control]
    x_low, x_high = span([p.x for p in tested])
    y_low, y_high = span([p.y for p in tested])
    text = "" if reference is None else f"originals {reference:.{y.decimals}f}"
    if reference is not None and y_low - (y_high - y_low) <= reference <= y_high + (y_high - y_low):
        y_low, y_high = span([*(p.y for p in tested), reference])
    else:
        reference = None
    outside = [p for p in points if not (x_low <= p.x <= x_high and y_low <= p.y <= y_high)]
    points = [p for p in points if p not in outside]

    def across(value: float) -> float:
        return round(LEFT + (value - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT), 1)

    def down(value: float) -> float:
        return round(HEIGHT - BOTTOM - (value - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM), 1)

    places = [(across(p.x), down(p.y)) for p in points]
    taken = [(px - 6, py - 6, px + 6, py + 6) for px, py in places]
    marks = []
    for point, (px, py) in zip(points, places, strict=True):
        label_x, label_y, anchor, box = place_label(px, py, CHARACTER * len(point.label), taken)
        taken.append(box)
        title = f"{point.label}: {x.title} {point.x:.{x.decimals}f}, {y.title} {point.y:.{y.decimals}f}"
        marks.append(Mark(point, px, py, label_x, label_y, anchor, title))
    return Scatter(
        x,
        y,
        [Tick(across(t), f"{t:g}") for t in ticks(x_low, x_high)],
        [Tick(down(t), f"{t:g}") for t in ticks(y_low, y_high)],
        marks,
        outside,
        None if reference is None else down(reference),
        text,
        FRAME,
    )


Box = tuple[float, float, float, float]


def place_label(x: float, y: float, width: float, taken: Sequence[Box]) -> tuple[float, float, str, Box]:
    """The place near a point where a label of this width covers least of what is taken or beyond the frame."""
    candidates = []
    for dx, dy in ((10, 4), (9, -6), (9, 14), (16, -22), (16, 30), (24, -38), (24, 46)):
        candidates.append((x + dx, y + dy, "start", x + dx))
        candidates.append((x - dx, y + dy, "end", x - dx - width))
    candidates += [(x, y - 12, "middle", x - width / 2), (x, y + 20, "middle", x - width / 2)]

    def cost(candidate: tuple[float, float, str, float]) -> float:
        box = box_of(candidate)
        inside = overlap(box, (LEFT, TOP, WIDTH, HEIGHT - BOTTOM))
        return sum(overlap(box, other) for other in taken) + 5 * (width * LINE - inside)

    def box_of(candidate: tuple[float, float, str, float]) -> Box:
        _, baseline, _, left = candidate
        return left, baseline - LINE + 4, left + width, baseline + 4

    chosen = min(candidates, key=cost)
    return round(chosen[0], 1), round(chosen[1], 1), chosen[2], box_of(chosen)


def overlap(a: Box, b: Box) -> float:
    """The area that two boxes share."""
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
