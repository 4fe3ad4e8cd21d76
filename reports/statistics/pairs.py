"""Pairs of columns as unit means, group by group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from reports.statistics.cells import TableGroup
from reports.statistics.points import FEWEST, is_constant
from reports.statistics.resampling import Stratum


class Pair(NamedTuple):
    """A pair of columns with its unit means in every group that has a correlation."""

    x: str
    y: str
    strata: list[Stratum]


def units_of(found: Sequence[TableGroup]) -> list[str]:
    """The units of all groups, each once."""
    return sorted({unit for group in found for unit in group.units})


def pair_of(found: Sequence[TableGroup], units: Sequence[str], x: str, y: str) -> Pair:
    """The unit means of a pair, for every group where three units have both and neither is constant."""
    place = {unit: number for number, unit in enumerate(units)}
    strata = []
    for group in found:
        a, b = group.means(x), group.means(y)
        both = np.flatnonzero(np.isfinite(a) & np.isfinite(b))
        usable = len(both) >= FEWEST and not is_constant(a[both]) and not is_constant(b[both])
        if usable:
            strata.append(Stratum(np.array([place[group.units[n]] for n in both]), a[both], b[both]))
    return Pair(x, y, strata)


def why_none(found: Sequence[TableGroup], pair: Pair) -> str:
    """Reason for which a pair has no correlation in any group."""
    for column in (pair.x, pair.y):
        values = np.concatenate([group.means(column) for group in found])
        if not np.isfinite(values).any():
            return f"{column} was not measured"
        if all(is_constant(group.means(column)) for group in found):
            return f"{column} is constant"
    return f"fewer than {FEWEST} units vary in both"
