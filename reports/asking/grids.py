"""Values of a study as grids: a row each corpus and configuration, a column each metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from reports.asking.axes import WHERE, columns
from reports.asking.metrics import Metric


class Grid(NamedTuple):
    """Values by corpus and axes (rows) and metric (columns), and over how many items each was taken."""

    value: pd.DataFrame
    n: pd.DataFrame

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


def grid(rows: pd.DataFrame, value: str, n: str) -> Grid:
    """Tidy rows (corpus, axes, metric, value, n) as a grid, to 12 decimals: a database sums in an order of its own."""
    return Grid(
        rows.pivot(index=WHERE, columns="metric", values=value).astype(float).round(12),
        rows.pivot(index=WHERE, columns="metric", values=n).astype(float),
    )


def measured(found: Grid, corpus: str, metrics: Sequence[Metric]) -> list[Metric]:
    """The metrics that have a value in the corpus."""
    some = found.value[found.value.index.get_level_values("corpus") == corpus]
    return [metric for metric in metrics if metric.name in some and some[metric.name].notna().any()]


def tidy(found: Grid, metrics: Sequence[Metric], always: Sequence[str], **more: str) -> pd.DataFrame:
    """A grid as a CSV shows it: axes (``always`` and those that apply), further columns, n, and one column a metric."""
    names = [metric.name for metric in metrics if metric.name in found.value]
    held = found.n[names].max(axis=1) > 0
    frame = found.value.loc[held, names].assign(n=found.n.loc[held, names].max(axis=1).astype(int), **more)
    return columns(frame.reset_index()[[*WHERE, *more, "n", *names]], always)
