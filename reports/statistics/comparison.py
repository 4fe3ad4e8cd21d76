"""Is one metric really better than another? Two correlations that share y."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from reports.statistics.cells import TableGroup
from reports.statistics.points import FEWEST, is_constant
from reports.statistics.resampling import DRAWS
from reports.statistics.significance import TIE

EXACT = 13
"""Up to so many units every way of swapping is looked at (2¹³ = 8,192)."""

CELL_DRAWS = 1_000
"""Draws of PERM-BOTH, as in the field's tool."""

AT_ONCE = 4_000_000
"""Cells that are swapped at a time, which bounds memory."""


@dataclass(frozen=True)
class Comparison:
    """|r(x, y)| − |r(other, y)| over n units, and three answers to whether it is zero."""

    other: str
    n: int
    difference: float
    p: float
    """Swapping the two metrics' scores unit by unit: for new units."""
    p_cells: float | None
    """Swapping cell by cell (PERM-BOTH): for these very units only."""
    p_williams: float | None
    """Williams' t of the unit means, the classical cross-check."""
    p_holm: float | None = None
    """``p`` after Holm (1979), over all comparisons that are shown together."""


def williams(r12: float, r13: float, r23: float, n: int) -> tuple[float, float]:
    """t(n − 3) and two-sided p of r12 = r13, variable 1 being shared (Williams 1959; Steiger 1980, equation 7).

    ``(nan, nan)`` for n < 4 or where the three are one line.

    >>> t, p = williams(0.5, 0.1, 0.7, 30)
    >>> round(t, 2), round(p, 4)
    (3.38, 0.0022)
    """
    determinant = 1 - r12**2 - r13**2 - r23**2 + 2 * r12 * r13 * r23
    if n < 4 or determinant <= TIE:
        return float("nan"), float("nan")
    scale = 2 * determinant * (n - 1) / (n - 3) + (r12 + r13) ** 2 / 4 * (1 - r23) ** 3
    t = (r12 - r13) * np.sqrt((n - 1) * (1 + r23) / scale)
    return float(t), float(2 * stats.t.sf(abs(t), n - 3))


def compare(group: TableGroup, x: str, other: str, y: str, seed: int = 0) -> Comparison | None:
    """Compare how strongly ``x`` and ``other`` go with ``y``, each turned so that its own r is positive.

    None where fewer than three units have all three, or one is constant. PERM-BOTH is the field's tool's test, and its
    null is that the metrics are exchangeable cell by cell. Where each metric has unit effects of its own, it rejected
    equal correlations in 32 % of simulated data sets (9 units, 100 items); swapping units in 6 %, Williams in 4 %.
    """
    means = np.stack([group.means(column) for column in (x, other, y)])
    units = np.isfinite(means).all(axis=0)
    n = int(units.sum())
    if n < FEWEST or any(is_constant(row[units]) for row in means):
        return None
    corr = np.corrcoef(means[:, units])
    signs = np.sign(corr[:2, 2])
    first, second = (sign * stats.zscore(row[units]) for sign, row in zip(signs, means, strict=False))
    target = means[2, units]
    rng = np.random.default_rng([seed, 2])
    p = swapped(first, second, target, swaps(n, rng), n > EXACT)
    r12, r13 = np.abs(corr[:2, 2])
    p_williams = williams(r12, r13, signs[0] * signs[1] * corr[0, 1], n)[1]
    p_cells = None
    if group.items:
        one, two = (sign * group.cells[column][units] for sign, column in zip(signs, (x, other), strict=True))
        p_cells = swapped_cells(one, two, target, rng)
    return Comparison(other, n, float(r12 - r13), p, p_cells, None if np.isnan(p_williams) else p_williams)


def swaps(n: int, rng: np.random.Generator) -> np.ndarray:
    """Units to swap, one combination a row: all of them, or random ones where these are many."""
    if n <= EXACT:
        return (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    return rng.integers(0, 2, (DRAWS, n))


def swapped(first: np.ndarray, second: np.ndarray, y: np.ndarray, swaps: np.ndarray, random: bool) -> float:
    """Two-sided p of r(first, y) − r(second, y) when scores change places."""
    moved = swaps * (second - first)
    return share(rows_r(first + moved, y) - rows_r(second - moved, y), rows_r(first, y) - rows_r(second, y), random)


def swapped_cells(first: np.ndarray, second: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> float:
    """The same with single cells of units × items, standardised over all cells; missing cells stay missing."""
    both = np.isfinite(first) & np.isfinite(second)
    first, second = (np.where(both, (v - v[both].mean()) / v[both].std(), 0.0) for v in (first, second))
    count = np.maximum(both.sum(axis=1), 1)
    gap, a, b = second - first, first.sum(axis=1) / count, second.sum(axis=1) / count
    moved = []
    for size in chunks(CELL_DRAWS, max(1, AT_ONCE // gap.size)):
        bits = np.unpackbits(np.frombuffer(rng.bytes(-(-size * gap.size // 8)), np.uint8), count=size * gap.size)
        moved.append(np.einsum("dui,ui->du", bits.reshape(size, *gap.shape), gap) / count)
    drawn = np.concatenate(moved)
    return share(rows_r(a + drawn, y) - rows_r(b - drawn, y), rows_r(a, y) - rows_r(b, y), True)


def chunks(total: int, most: int) -> list[int]:
    """``total`` in parts of at most ``most``."""
    return [min(most, total - start) for start in range(0, total, most)]


def rows_r(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pearson's r of each row of x with y; 0 where a row is constant."""
    x, y = x - x.mean(axis=-1, keepdims=True), y - y.mean()
    norm = np.linalg.norm(x, axis=-1) * np.linalg.norm(y)
    return np.divide(x @ y, norm, out=np.zeros_like(norm), where=norm > TIE)


def share(drawn: np.ndarray, observed: float, random: bool) -> float:
    """Count draws that are at least as far from zero; the data themselves are one of the random ones."""
    count = int((np.abs(drawn) >= abs(observed) - TIE).sum())
    return float((count + random) / (len(drawn) + random))
