"""Values of a study as grids: a row each corpus and configuration, a column each metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from reports.asking.axes import PICTURE, TEXT, WHERE, columns
from reports.asking.metrics import Metric

FLOOR = 0.01
"""A value that is no larger than this share of the most it can be says nothing: CIDEr up to 0.1, BLEU up to 0.01."""


class Grid(NamedTuple):
    """Values by corpus and axes (rows) and metric (columns), and over how many items each was taken."""

    value: pd.DataFrame
    n: pd.DataFrame
    floor: pd.DataFrame | None = None
    """Whether a value is at the floor (:func:`at_floor`)."""

    def at(self, where: tuple[str, ...], metric: str) -> float | None:
        """The value of a metric at a corpus and axes; None where there is none."""
        if metric not in self.value or where not in self.value.index:
            return None
        value: Any = self.value.at[where, metric]
        return None if pd.isna(value) else float(value)

    def items(self, where: tuple[str, ...], metric: str) -> int:
        """Over how many items a value was taken."""
        n: Any = self.n.at[where, metric]
        return int(n)

    def low(self, where: tuple[str, ...], metric: str) -> bool:
        """Whether a value is at the floor."""
        return self.floor is not None and self.at(where, metric) is not None and bool(self.floor.at[where, metric])

    def lows(self, where: pd.MultiIndex, metrics: Sequence[str]) -> np.ndarray:
        """Whether values are at the floor: places × metrics."""
        if self.floor is None:
            return np.zeros((len(where), len(metrics)), bool)
        return self.floor.reindex(where, fill_value=False)[list(metrics)].to_numpy(bool)


def grid(rows: pd.DataFrame, value: str, n: str, metrics: Sequence[Metric] = ()) -> Grid:
    """Tidy rows (corpus, axes, metric, value, n, perhaps ``square``, the mean of squares) as a grid.

    To 12 decimals: a database sums in an order of its own.
    """
    most = rows["metric"].map({metric.name: metric.most for metric in metrics}).astype(float)
    square = rows["square"] if "square" in rows else pd.Series(np.nan, rows.index)
    low = at_floor(*(some.to_numpy(float) for some in (rows[value], square, rows[n], most)))
    return Grid(
        rows.pivot(index=WHERE, columns="metric", values=value).astype(float).round(12),
        rows.pivot(index=WHERE, columns="metric", values=n).astype(float),
        rows.assign(low=low).pivot(index=WHERE, columns="metric", values="low").eq(True),
    )


def at_floor(mean: np.ndarray, square: np.ndarray, n: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Whether means are as good as zero: no more than ``FLOOR`` of the most there can be, or their interval holds zero.

    The interval is the t interval over ``n`` items, by the mean of their squares; a NaN says that one is not known.

    >>> nan, n = np.nan, np.full(4, 10)
    >>> at_floor(np.array([0.009, 0.4, 0.4, 0.4]), np.array([nan, nan, 0.2, 1.6]), n, np.array([10, 10, 1, nan]))
    array([ True, False, False,  True])
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt(np.maximum(square - mean**2, 0) / (n - 1))
        return (np.abs(mean) <= FLOOR * most) | (np.abs(mean) <= stats.t.ppf(0.975, n - 1) * spread)


def measured(found: Grid, corpus: str, metrics: Sequence[Metric]) -> list[Metric]:
    """The metrics that have a value in the corpus."""
    some = found.value[found.value.index.get_level_values("corpus") == corpus]
    return [metric for metric in metrics if metric.name in some and some[metric.name].notna().any()]


def comparable(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows (corpus, axes, kind, metric, sample, value) without the values that others of their kind lack.

    A picture whose value is undefined for one configuration, such as the PSNR of a perfect one, is left out for all
    configurations of a corpus (and captioner), so that their means are over the same pictures. Configurations without
    any value take no part, and where no picture would be left all are kept.

    >>> where = {"corpus": "one", "degradation": "blur", "kind": "pixel", "metric": "psnr"} | dict.fromkeys(TEXT, "")
    >>> rows = pd.DataFrame({"inpainter": ["a", "a", "b", "b"], "sample": ["x", "y"] * 2, "value": [1, 2, 3, np.nan]})
    >>> comparable(rows.assign(**where))["value"].tolist()
    [1.0, nan, 3.0, nan]
    """
    group = ["corpus", *TEXT, "kind", "metric"]
    some = rows[rows["metric"].isin(rows.loc[rows["value"].isna(), "metric"].unique())]
    names = some[[*group, *PICTURE, "sample"]].astype(object).assign(has=some["value"].notna())
    part = names.groupby([*group, *PICTURE])["has"].transform("any")
    gone = (part & ~names["has"]).groupby([names[one] for one in (*group, "sample")]).transform("any")
    left = (names["has"] & ~gone).groupby([names[one] for one in group]).transform("any")
    return rows.assign(value=rows["value"].mask((gone & left).reindex(rows.index, fill_value=False)))


def tidy(found: Grid, metrics: Sequence[Metric], always: Sequence[str], **more: str) -> pd.DataFrame:
    """A grid as a CSV shows it: axes (``always`` and those that apply), further columns, n, and two columns a metric.

    These are its mean, and below ``n_`` and its name over how many items that is.
    """
    names = [metric.name for metric in metrics if metric.name in found.value]
    held = found.n[names].max(axis=1) > 0
    counts = found.n.loc[held, names].fillna(0).astype(int)
    frame = found.value.loc[held, names].assign(n=counts.max(axis=1), **more).join(counts.add_prefix("n_"))
    return columns(frame.reset_index()[[*WHERE, *more, "n", *names, *(f"n_{name}" for name in names)]], always)
