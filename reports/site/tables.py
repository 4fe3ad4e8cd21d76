"""From means to tables: what a page shows of each configuration, and what a CSV holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reports.asking.metrics import CONTROL, Metric
from reports.asking.queries import WHERE
from reports.statistics.points import relative_change, representatives

SECTIONS = {"corpus": "corpora", "degradation": "degradations", "inpainter": "inpainters", "captioner": "captioners"}
"""Where params.yaml lists the names of an axis."""

Names = tuple[str, str]
"""A degradation and an inpainter."""

ORIGINAL: Names = ("", "")
Order = Mapping[str, Sequence[str]]


class Cell(NamedTuple):
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


class Row(NamedTuple):
    """One configuration; ``note`` says what is special about it."""

    degradation: str
    inpainter: str
    n: int
    cells: list[Cell]
    note: str

    @property
    def reference(self) -> bool:
        return (self.degradation, self.inpainter) == ORIGINAL


class Group(NamedTuple):
    """Rows that are compared with each other."""

    captioner: str
    rows: list[Row]


class Table(NamedTuple):
    """Groups of configurations under the same metrics."""

    metrics: list[Metric]
    groups: list[Group]

    @property
    def asides(self) -> list[bool]:
        """For each metric whether any of its cells says something in small type."""
        cells = [row.cells for group in self.groups for row in group.rows]
        return [any(cell.aside for cell in column) for column in zip(*cells, strict=True)]


class Grid(NamedTuple):
    """Values by corpus and axes (rows) and metric (columns), and over how many items each was taken."""

    value: pd.DataFrame
    n: pd.DataFrame


def grid(rows: pd.DataFrame, value: str, n: str) -> Grid:
    """Tidy rows (corpus, axes, metric, value, n) as a grid, to 12 decimals: a database sums in an order of its own."""
    return Grid(
        rows.pivot(index=WHERE, columns="metric", values=value).astype(float).round(12),
        rows.pivot(index=WHERE, columns="metric", values=n).astype(float),
    )


def axes(params: Mapping[str, Any], rows: pd.DataFrame) -> dict[str, list[str]]:
    """The names on each axis, in the order of the study's parameters; what these lack, and controls, come last."""
    order = {}
    last = controls(params)
    for axis, section in SECTIONS.items():
        listed = list(params.get(section) or {})
        names = listed + sorted(set(rows[axis]) - set(listed) - {""})
        order[axis] = sorted(names, key=lambda name: axis == "inpainter" and name in last)
    return order


def repaintings(order: Order) -> list[Names]:
    """Degradation × inpainter, in the order of the tables: those of one inpainter stand together."""
    return [(degradation, inpainter) for inpainter in order["inpainter"] for degradation in order["degradation"]]


def controls(params: Mapping[str, Any]) -> list[str]:
    """The inpainters that leave the degraded picture as it is."""
    return [name for name, entry in (params.get("inpainters") or {}).items() if entry.get("adapter") == CONTROL]


def coincident(repainted: pd.DataFrame, corpus: str, order: Order) -> dict[Names, Names]:
    """For each configuration of a corpus the first one with the very same repainted items."""
    some = repainted[repainted["corpus"] == corpus]
    contents = {
        names: tuple(zip(group["sample"], group["item"], strict=True))
        for names, group in some.groupby(["degradation", "inpainter"])
    }
    return representatives({names: contents[names] for names in repaintings(order) if names in contents})


def number(value: float, decimals: int) -> str:
    """A number as tables show it.

    >>> number(-0.12345, 3), number(math.nan, 3)
    ('−0.123', '–')
    """
    return f"{value:.{decimals}f}".replace("-", "−") if math.isfinite(value) else "–"


def signed(value: float, decimals: int) -> str:
    """A difference with its sign.

    >>> signed(-0.0123, 3), signed(0.0, 2), signed(1e-9, 2)
    ('−0.012', '±0.00', '±0.00')
    """
    text = f"{value:+.{decimals}f}"
    return text.replace("-", "−") if float(text) else f"±{abs(value):.{decimals}f}"


def percent(change: float | None) -> str:
    """A relative change with its sign.

    >>> percent(-12.34), percent(0.0), percent(None)
    ('−12.3%', '±0.0%', '')
    """
    if change is None:
        return ""
    sign = "±" if round(change, 1) == 0 else "+" if change > 0 else "−"
    return f"{sign}{abs(change):.1f}%"


def best_of(values: np.ndarray, metric: Metric) -> float | None:
    """The best of a column; None where nothing stands out.

    >>> from reports.asking.metrics import FIDELITY
    >>> best_of(np.array([0.2, math.nan, 0.3]), FIDELITY[0]), best_of(np.array([0.2, 0.2]), FIDELITY[0])
    (0.2, None)
    """
    known = values[np.isfinite(values)]
    if not len(known) or known.min() == known.max():
        return None
    return float(known.max() if metric.higher_is_better else known.min())


def measured(found: Grid, corpus: str, metrics: Sequence[Metric]) -> list[Metric]:
    """The metrics that have a value in the corpus."""
    some = found.value[found.value.index.get_level_values("corpus") == corpus]
    return [metric for metric in metrics if metric.name in some and some[metric.name].notna().any()]


def group(
    found: Grid, corpus: str, captioner: str, metrics: Sequence[Metric], order: Order, notes: Mapping[Names, str]
) -> Group:
    """The rows of one captioner; the originals come first, as the reference that the others are compared with."""
    names = [n for n in (ORIGINAL, *repaintings(order)) if (corpus, *n, captioner) in found.value.index]
    index = pd.MultiIndex.from_tuples([(corpus, *n, captioner) for n in names], names=WHERE)
    columns = [metric.name for metric in metrics]
    values = found.value.reindex(index)[columns].to_numpy()
    counts = found.n.reindex(index)[columns].fillna(0).to_numpy().astype(int)
    repainted = np.array([n != ORIGINAL for n in names], bool)
    reference = values[0] if not repainted.all() else np.full(len(metrics), math.nan)
    best = [best_of(column, metric) for column, metric in zip(values[repainted].T, metrics, strict=True)]
    rows = []
    for n, line, count in zip(names, values, counts, strict=True):
        cells = [
            Cell(
                float(value) if math.isfinite(value) else None,
                number(value, metric.decimals),
                n != ORIGINAL and value == top,
                percent(relative_change(value, base)) if n != ORIGINAL else "",
                int(had) if had < count.max() else None,
            )
            for value, had, metric, top, base in zip(line, count, metrics, best, reference, strict=True)
        ]
        rows.append(Row(*n, int(count.max()), cells, notes.get(n, "")))
    return Group(captioner, rows)


def table(
    found: Grid,
    corpus: str,
    captioners: Sequence[str],
    metrics: Sequence[Metric],
    order: Order,
    notes: Mapping[Names, str],
) -> Table:
    """One group per captioner that has values ([""] for fidelity), under the metrics that have values."""
    metrics = measured(found, corpus, metrics)
    if not metrics:
        return Table([], [])
    index = found.value.xs(corpus, level="corpus").index
    had = [captioner for captioner in captioners if captioner in set(index.get_level_values("captioner"))]
    return Table(metrics, [group(found, corpus, captioner, metrics, order, notes) for captioner in had])


def tidy(found: Grid, metrics: Sequence[Metric], **columns: str) -> pd.DataFrame:
    """A grid as a CSV shows it: axes, further columns, n, and one column a metric."""
    names = [metric.name for metric in metrics if metric.name in found.value]
    held = found.n[names].max(axis=1) > 0
    frame = found.value.loc[held, names].assign(n=found.n.loc[held, names].max(axis=1).astype(int), **columns)
    return frame.reset_index()[[*WHERE, *columns, "n", *names]]
