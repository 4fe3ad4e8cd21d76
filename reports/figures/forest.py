"""Forest plots of effects and heat maps of interactions: where everything stands; the template only draws it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from reports.asking.factors import Ablations, Factor, Joint, Scope
from reports.asking.metrics import Metric
from reports.figures.plane import Square, Tick, ticks
from reports.site.numbers import number, signed, small
from reports.statistics.effects import Effect, Interaction

WIDTH, MARGIN = 180, 8
"""The plane of a forest plot, and the room left and right of its extremes."""

TICKS = 5
LEVEL = 0.05
"""Of Holm's p, below which an effect is drawn as certain."""


class Line(NamedTuple):
    """One effect: its numbers as text, and where dot and interval stand."""

    level: str
    control: bool
    difference: str
    interval: str
    certain: bool
    """Whether Holm's p is below .05."""
    at: float
    low: float
    high: float
    title: str


class Forest(NamedTuple):
    """The levels of one factor against one of them, the largest effect first; ``n`` is "40" or "38 to 40"."""

    factor: str
    against: str
    control: bool
    n: str
    lines: list[Line]


class Heading(NamedTuple):
    """Columns of a heat map under one level of each outer factor ("" where there is none)."""

    outer: str
    inner: list[str]


class HeatMap(NamedTuple):
    """Interactions: levels of one factor as rows, of the others as columns; full colour at ``strongest``."""

    factors: list[str]
    row: str
    headings: list[Heading]
    rows: list[tuple[str, list[Square]]]
    n: int
    strongest: str


class Figure(NamedTuple):
    """One metric in one corpus. Its forest plots share their plane, so that factors can be compared."""

    metric: Metric
    forests: list[Forest]
    zero: float
    ticks: list[Tick]
    maps: list[HeatMap]


class Part(NamedTuple):
    """Figures of one corpus; "" is all of them."""

    corpus: str
    figures: list[Figure]
    left_out: list[str]
    """Inpainters that paint the same pictures whatever the degradation was: not where degradations are compared."""


def parts(found: Ablations, controls: Iterable[str]) -> list[Part]:
    """Parts of the page, corpus by corpus."""
    by_corpus: dict[str, list[Scope]] = {}
    for scope in found.scopes:
        by_corpus.setdefault(scope.corpus, []).append(scope)
    return [
        Part(corpus, [figure(scope, found.order, set(controls)) for scope in scopes], scopes[0].left_out)
        for corpus, scopes in by_corpus.items()
    ]


def figure(scope: Scope, order: Mapping[str, Sequence[str]], controls: set[str]) -> Figure:
    """One metric in one corpus."""
    ends = [0.0, *(end for f in scope.factors for one in f.effects for end in (one.low, one.high))]
    plane = Plane(min(ends), max(ends))
    marks = ticks(plane.low, plane.high, TICKS) if plane.low < plane.high else []
    return Figure(
        scope.metric,
        [forest(factor, scope.metric, plane, controls) for factor in scope.factors],
        plane.across(0.0),
        [Tick(plane.across(at), f"{at:g}".replace("-", "−")) for at in marks],
        [heat_map(joint, scope.metric, order) for joint in scope.joint],
    )


class Plane(NamedTuple):
    """Plane that maps differences to places."""

    low: float
    high: float

    def across(self, value: float) -> float:
        """
        >>> Plane(-1.0, 1.0).across(0.0), Plane(0.0, 0.0).across(0.0)
        (90.0, 8.0)
        """
        return round(MARGIN + (value - self.low) / ((self.high - self.low) or 1.0) * (WIDTH - 2 * MARGIN), 1)


def forest(factor: Factor, metric: Metric, plane: Plane, controls: set[str]) -> Forest:
    """The effects of one factor."""
    effects = sorted(factor.effects, key=lambda one: -one.effect)
    counts = sorted({one.n for one in effects})
    n = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    lines = [line(one, metric, plane, factor.name == "inpainter" and one.level in controls) for one in effects]
    return Forest(factor.name, factor.against, factor.control, n, lines)


def line(one: Effect, metric: Metric, plane: Plane, control: bool) -> Line:
    """One effect as it is drawn."""
    effect, low, high = (number(value, metric.decimals) for value in (one.effect, one.low, one.high))
    d = "–" if one.d is None else number(one.d, 2)
    agree = f"{round(one.agree * one.settings)} of {one.settings} setting{'s' * (one.settings != 1)}"
    title = (
        f"{one.level} against {one.other}: {metric.title} {effect} [{low}, {high}], d {d}, n = {one.n:,}, "
        f"p = {small(one.p)}, Holm {small(one.p_holm)}; same sign in {agree}"
    )
    at, left, right = (plane.across(value) for value in (one.effect, one.low, one.high))
    return Line(one.level, control, effect, f"{low} to {high}", one.p_holm < LEVEL, at, left, right, title)


def heat_map(joint: Joint, metric: Metric, order: Mapping[str, Sequence[str]]) -> HeatMap:
    """Inpainters, where they vary, as rows; of the other factors the first is the inner one."""
    row = "inpainter" if "inpainter" in joint.factors else joint.factors[0]
    inner, *outer = (factor for factor in joint.factors if factor != row)
    found = {frozenset(zip(joint.factors, one.levels, strict=True)): one for one in joint.found}

    def present(factor: str) -> list[str]:
        held = {one.levels[joint.factors.index(factor)] for one in joint.found}
        return [name for name in order[factor] if name in held]

    above = list(product(*map(present, outer)))
    largest = max(abs(one.interaction) for one in joint.found)
    rows = []
    for level in present(row):
        names = [{row: level, inner: i} | dict(zip(outer, o, strict=True)) for o in above for i in present(inner)]
        rows.append((level, [square(found[frozenset(name.items())], metric, largest) for name in names]))
    headings = [Heading(", ".join(names), present(inner)) for names in above]
    strongest = number(largest, metric.decimals)
    return HeatMap(joint.factors, row, headings, rows, joint.found[0].n, strongest)


def square(one: Interaction, metric: Metric, largest: float) -> Square:
    """One interaction as a square of the heat map."""
    text = signed(one.interaction, metric.decimals)
    mean, additive, low, high = (
        number(value, metric.decimals) for value in (one.mean, one.additive, one.low, one.high)
    )
    title = (
        f"{', '.join(one.levels)}: {text} [{low}, {high}], mean {mean} where main effects add up to {additive}, "
        f"p = {small(one.p)}, Holm {small(one.p_holm)}"
    )
    strength = round(100 * abs(one.interaction) / largest) if largest else 0
    return Square(text, "positive" if one.interaction > 0 else "negative", strength, one.p_holm < LEVEL, title)
