"""Stability of a correlation: leave out single units, or single families of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reports.statistics.points import FEWEST
from reports.statistics.resampling import Stratum, pooled_r


@dataclass(frozen=True)
class Stability:
    """The range of r as each part is left out, how often its sign turns, and the part that moves it most."""

    low: float
    high: float
    sign_flips: int
    driver: str
    without: float | None
    """r without the driver; None where a column is constant then, so that there is no correlation."""


def leave_one_out(strata: Sequence[Stratum], parts: Mapping[str, np.ndarray]) -> Stability | None:
    """r without each part (a mask over all units) in turn, as the inpainting paper's table 1 does with configurations.

    A robustness check, not an interval. None where no part can be left out, because fewer than three units would stay.

    >>> line = Stratum(np.arange(5), np.array([0.0, 1, 2, 3, 9]), np.array([3.0, 2, 1, 0, 9]))
    >>> found = leave_one_out([line], {str(n): np.arange(5) == n for n in range(5)})
    >>> found.sign_flips, found.driver, round(found.without, 2)
    (1, '4', -1.0)
    >>> flat = Stratum(np.arange(7), np.array([1.0, 1, 1, 1, 1, 1, 2]), np.array([3.0, 1, 2, 4, 5, 6, 9]))
    >>> leave_one_out([flat], {str(n): np.arange(7) == n for n in range(7)}).without is None
    True
    """
    masks = np.stack([np.zeros_like(next(iter(parts.values()))), *parts.values()])
    full, *left = pooled_r(strata, 1.0 - masks)
    found = {name: float(r) for name, r in zip(parts, left, strict=True) if np.isfinite(r)}
    if not found:
        return None
    enough = {name: any((~mask[s.units]).sum() >= FEWEST for s in strata) for name, mask in parts.items()}
    needed = next((name for name in parts if name not in found and enough[name]), None)
    driver = needed or max(found, key=lambda name: abs(found[name] - full))
    flips = sum(bool(r * full < 0) for r in found.values())
    return Stability(min(found.values()), max(found.values()), flips, driver, found.get(driver))
