"""Tables of configurations: from means to what a page shows of each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from reports.asking.axes import ORIGINAL, TEXT, WHERE, Names, Order, Text, alike, label, repaintings
from reports.asking.grids import Grid, measured
from reports.asking.metrics import Metric
from reports.site.numbers import number, percent
from reports.statistics.points import relative_change


class Value(NamedTuple):
    """One number of a table; ``value`` is what it sorts by."""

    value: float | None
    text: str
    best: bool
    change: str
    n: int | None
    """How many items have a value, where these are fewer than the row's."""

    @property
    def aside(self) -> str:
        """What stands beside the number, in small type."""
        return f"{self.change} {'' if self.n is None else f'n {self.n:,}'}".strip()


class TableRow(NamedTuple):
    """One configuration, with those whose pictures are the very same."""

    degradation: str
    inpainter: str
    n: int
    values: list[Value]
    alike: str
    """Its degradation as the table says it: "any" where the pictures do not depend on it."""
    control: bool

    @property
    def reference(self) -> bool:
        return (self.degradation, self.inpainter) == ORIGINAL


class Rows(NamedTuple):
    """Rows that are compared with each other: pictures (``said`` is ""), or what one captioner said of them."""

    said: str
    rows: list[TableRow]


class Table(NamedTuple):
    """Groups of configurations under the same metrics."""

    metrics: list[Metric]
    groups: list[Rows]

    @property
    def asides(self) -> list[bool]:
        """For each metric whether any of its values says something in small type."""
        values = [row.values for group in self.groups for row in group.rows]
        return [any(value.aside for value in column) for column in zip(*values, strict=True)]


def best_of(values: np.ndarray, low: np.ndarray, metric: Metric) -> float | None:
    """The best of a column; None where several share it as it is printed, or where it is at the floor (``low``).

    >>> mse, none = Metric("mse", "MSE", False, 4, ""), np.zeros(3, bool)
    >>> best_of(np.array([0.2, math.nan, 0.3]), none, mse), best_of(np.array([0.2, 0.20001, 0.3]), none, mse)
    (0.2, None)
    >>> best_of(np.array([0.002, 0.001, 0.0]), ~none, Metric("cider", "CIDEr", True, 3, "")) is None
    True
    """
    known = np.flatnonzero(np.isfinite(values))
    if metric.higher_is_better is None or len(known) < 2:
        return None
    best = max(known, key=lambda place: values[place] * (1 if metric.higher_is_better else -1))
    shown = [number(values[place], metric.decimals) for place in known]
    if shown.count(number(values[best], metric.decimals)) > 1 or (metric.higher_is_better and low[best]):
        return None
    return float(values[best])


def rows_of(
    found: Grid,
    corpus: str,
    text: Text,
    metrics: Sequence[Metric],
    order: Order,
    same: Mapping[Names, Names],
    controls: Sequence[str],
) -> Rows:
    """The rows of one captioner; the originals come first, as the reference that the others are compared with.

    No change is given against a reference at the floor. Configurations with the very same pictures (``same``) are one
    row. Controls are not the best.
    """
    names = [n for n in (ORIGINAL, *repaintings(order)) if (corpus, *n, *text) in found.value.index]
    names = [n for n in names if same.get(n, n) == n]
    index = pd.MultiIndex.from_tuples([(corpus, *n, *text) for n in names], names=WHERE)
    columns = [metric.name for metric in metrics]
    values = found.value.reindex(index)[columns].to_numpy()
    counts = found.n.reindex(index)[columns].fillna(0).to_numpy().astype(int)
    low = found.lows(index, columns)
    rivals = np.array([n != ORIGINAL and n[1] not in controls for n in names], bool)
    reference = np.where(low[0], math.nan, values[0]) if ORIGINAL in names else np.full(len(metrics), math.nan)
    best = [
        best_of(column, floored, metric)
        for column, floored, metric in zip(values[rivals].T, low[rivals].T, metrics, strict=True)
    ]
    rows = []
    for n, line, count, rival in zip(names, values, counts, rivals, strict=True):
        cells = [
            Value(
                float(value) if math.isfinite(value) else None,
                number(value, metric.decimals),
                rival and value == top,
                percent(relative_change(value, base)) if n != ORIGINAL else "",
                int(had) if had < count.max() else None,
            )
            for value, had, metric, top, base in zip(line, count, metrics, best, reference, strict=True)
        ]
        rows.append(TableRow(*n, int(count.max()), cells, alike(n, same, order), n[1] in controls))
    return Rows(label(text), rows)


def table(
    found: Grid,
    corpus: str,
    texts: Sequence[Text],
    metrics: Sequence[Metric],
    order: Order,
    same: Mapping[Names, Names],
    controls: Sequence[str],
) -> Table:
    """One group for each captioner that has values (``[UNSAID]`` for pictures), under the metrics that have values."""
    metrics = measured(found, corpus, metrics)
    if not metrics:
        return Table([], [])
    index = found.value.xs(corpus, level="corpus").index
    here = set(zip(*(index.get_level_values(axis) for axis in TEXT), strict=True))
    some = [text for text in texts if text in here]
    return Table(metrics, [rows_of(found, corpus, text, metrics, order, same, controls) for text in some])
