"""A time series as a line plot: the picture that a captioner of series sees."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.lines import Line2D

LINE = "#1f2f6f"
FRAME = "#d0d0d0"
MARGIN = 0.08
"""Empty share of the plot's height above the highest and below the lowest value."""


@functools.lru_cache(maxsize=4)
def _plot(size: int) -> tuple[FigureCanvasAgg, Axes, Line2D]:
    """An empty plot of ``size`` pixels, made once: a new figure costs ten times what redrawing one does."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    canvas = FigureCanvasAgg(Figure(figsize=(size / 100, size / 100), dpi=100, facecolor="white"))
    axes = canvas.figure.add_axes((0.04, 0.04, 0.92, 0.92), xticks=[], yticks=[], facecolor="white")
    for side in axes.spines.values():
        side.set(color=FRAME, linewidth=0.7 * size / 64)
    (line,) = axes.plot([], [], color=LINE, linewidth=1.4 * size / 64, solid_joinstyle="round", solid_capstyle="round")
    return canvas, axes, line


def draw_series(values: Sequence[float], size: int = 64) -> tuple[np.ndarray, list[list[float]]]:
    """Plot ``values`` at even steps, the y range fitted to them; a constant series is a level line at half height.

    Returns the picture (size, size, 3) uint8, RGB, and the place ``[x, y]`` of every value in pixels: x to the right
    and y downwards from the top left corner, so a value lies in the pixel ``[int(y), int(x)]``. Equal values give equal
    bytes. Raises ValueError for fewer than two values and for values that are not finite.

    >>> picture, points = draw_series([1, 3, 2])
    >>> picture.shape, len(points), points[1][1] < points[2][1] < points[0][1]
    ((64, 64, 3), 3, True)
    """
    series = np.asarray(values, dtype=float)
    if series.ndim != 1 or len(series) < 2 or not np.isfinite(series).all():
        raise ValueError(f"A series is a list of at least two finite numbers; got {values!r:.80}. Drop or mend it.")
    low, high = series.min(), series.max()
    margin = MARGIN * (high - low) or max(1.0, abs(high))
    canvas, axes, line = _plot(size)
    steps = np.arange(len(series))
    line.set_data(steps, series)
    axes.set(xlim=(-0.4, len(series) - 0.6), ylim=(low - margin, high + margin))
    canvas.draw()
    places = axes.transData.transform(np.column_stack([steps, series]))
    picture = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    return picture, [[round(float(x), 2), round(float(size - y), 2)] for x, y in places]
