"""The ``series`` world: twelve values as a line plot, and three captions of what is true of them."""

from __future__ import annotations

import numpy as np

from models.worlds import Example
from models.worlds.plots import draw_series
from models.worlds.trends import captions, facts

WORLD_VERSION = 1
"""Raised when the same (seed, index) gives other values, another plot or other captions."""

POINTS = 12
"""As many as a series of TRUCE."""

COURSES: dict[str, tuple[list[float], list[float]]] = {
    "flat": ([0, 1], [0, 0]),
    "rise": ([0, 1], [0, 1]),
    "fall": ([0, 1], [1, 0]),
    "rise and fall": ([0, 0.5, 1], [0, 1, 0]),
    "fall and rise": ([0, 0.5, 1], [1, 0, 1]),
    "rise and stay": ([0, 0.5, 1], [0, 1, 1]),
    "fall and stay": ([0, 0.5, 1], [1, 0, 0]),
    "stay and rise": ([0, 0.5, 1], [0, 0, 1]),
    "stay and fall": ([0, 0.5, 1], [1, 1, 0]),
}
"""Corners of the curve that a series is drawn around: times and heights. The one in the middle moves."""

NOISE = (0.0, 0.03, 0.1, 0.25)
"""Standard deviations of what is added to every value, relative to the curve's height."""

SPIKE, SHIFT = 0.4, 0.2
"""Shares of series with a peak or dip of one to five values (those that are flat without it all have one), and with a
shift of all values from some point on."""


def series(seed: int, index: int) -> Example:
    """Series ``index`` of the world ``seed``: equal arguments give equal bytes on every call and machine.

    ``graph`` is ``{"series": {"values", "points"}, "facts"}``: whole numbers from 0 to 100, where they lie in the plot,
    and what :func:`models.worlds.trends.facts` says of the values, whatever they were made from.

    >>> made = series(7, 0)
    >>> made.picture.shape, len(made.references), len(made.graph["series"]["values"])
    ((64, 64, 3), 3, 12)
    """
    rng = np.random.default_rng([seed, index])
    said = None
    while said is None:
        values = _values(rng)
        found = facts(values)
        said = captions(found, rng)
    picture, points = draw_series(values)
    return Example(picture, {"series": {"values": values, "points": points}, "facts": found}, said)


def _values(rng: np.random.Generator) -> list[int]:
    """A curve, perhaps with a spike and a shift, with noise, at any height."""
    course = str(rng.choice(list(COURSES)))
    times, heights = COURSES[course]
    corners = [rng.uniform(0.2, 0.8) if 0 < time < 1 else time for time in times]
    curve = np.interp(np.linspace(0, 1, POINTS), corners, heights)
    steps = np.arange(POINTS)
    if rng.random() < SPIKE or course == "flat":
        middle, width = rng.integers(POINTS), rng.uniform(0.5, 2)
        curve += rng.choice([-1, 1]) * rng.uniform(0.7, 1.6) * np.clip(1 - np.abs(steps - middle) / (width + 0.5), 0, 1)
    if rng.random() < SHIFT:
        curve += rng.choice([-1, 1]) * rng.uniform(0.7, 1.6) * (steps >= rng.integers(2, POINTS - 1))
    curve += rng.normal(0, rng.choice(NOISE), POINTS)
    height = rng.uniform(20, 90)
    span = max(float(np.ptp(curve)), 0.5)
    return [round(float(v)) for v in rng.uniform(0, 100 - height) + height * (curve - curve.min()) / span]
