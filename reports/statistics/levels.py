"""Levels of a correlation: between units, within units, within items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from reports.statistics.points import FEWEST, ROUNDING

PARTS = 20
"""Parts that are left out one at a time: of many items several together, which costs less and errs no more."""

TINY = np.finfo(float).tiny


@dataclass(frozen=True)
class Levels:
    """r over unit means; over items inside a unit; over units inside an item; and whether their signs differ."""

    between_units: float
    within_units: float | None
    within_items: float | None
    sign_change: bool
    """What is decided between units is turned within, and that, too, beyond chance (Simpson's paradox)."""


def within(x: np.ndarray, y: np.ndarray, axis: int) -> float | None:
    """r of what is left after the mean along ``axis`` is taken off; None where nothing varies.

    For units × items, axis 1 leaves variation within units, axis 0 within items. This is Bakdash and Marusich's (2017)
    repeated-measures correlation, and equal to ``pingouin.rm_corr``; whose p is not given, because it takes what
    crossed items share for independent.
    """
    both = np.isfinite(x) & np.isfinite(y)
    count = np.maximum(both.sum(axis=axis, keepdims=True), 1)
    if both.sum() < FEWEST:
        return None
    x, y = (np.where(both, v / np.abs(v[both]).max(initial=TINY), 0.0) for v in (x, y))
    x, y = ((v - v.sum(axis=axis, keepdims=True) / count)[both] for v in (x, y))
    if min(np.ptp(x), np.ptp(y)) <= ROUNDING:
        return None
    return float(np.corrcoef(x, y)[0, 1])


def beyond_chance(x: np.ndarray, y: np.ndarray, axis: int) -> bool:
    """Whether :func:`within` has its sign at 95 % for new units and for new items: a jackknife over each.

    Fisher's z over the larger of the two standard errors, against t(fewer of the two − 1).
    """
    r = within(x, y, axis)
    count = min(x.shape)
    if r is None or count < FEWEST:
        return False
    errors = []
    for side in (0, 1):
        size = x.shape[side]
        parts = np.array_split(np.arange(size), min(size, PARTS))
        left = [within(np.delete(x, part, side), np.delete(y, part, side), axis) for part in parts]
        z = np.arctanh(np.clip([0.0 if one is None else one for one in left], -1 + ROUNDING, 1 - ROUNDING))
        errors.append(np.sqrt((len(z) - 1) ** 2 / len(z) * z.var(ddof=1)))
    return bool(abs(np.arctanh(np.clip(r, -1 + ROUNDING, 1 - ROUNDING))) > stats.t.ppf(0.975, count - 1) * max(errors))


def levels(between: float, x: np.ndarray, y: np.ndarray, decided: bool = True) -> Levels:
    """Split a correlation of units × items by level; ``between`` is that of unit means, perhaps ``decided``.

    >>> unit, item = np.arange(4.0)[:, None], np.arange(5.0)
    >>> levels(1.0, unit + item / 9, unit - item / 9)
    Levels(between_units=1.0, within_units=-1.0, within_items=1.0, sign_change=True)
    """
    units, items = within(x, y, axis=1), within(x, y, axis=0)
    units, items = (None if r is None else round(r, 12) for r in (units, items))
    turned = (r is not None and r * between < 0 and beyond_chance(x, y, axis) for r, axis in ((units, 1), (items, 0)))
    return Levels(between, units, items, decided and any(turned))
