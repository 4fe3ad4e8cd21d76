"""Agreement of judges with a truth, caption by caption.

Captions of one picture are not independent: what is hard about a picture is hard for all who describe it. So pictures
are left out one at a time, and the 95 % interval is that of the jackknife, by Student's t over pictures: for new
pictures described by the same systems.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from reports.statistics.claims.judging import OPEN, SUPPORTED, Estimate, verdict
from reports.statistics.points import FEWEST, is_constant, tied
from reports.statistics.resampling import weighted_r
from reports.statistics.significance import FEWEST_CLUSTERS, LEAST, fisher


def agreement(judge: np.ndarray, truth: np.ndarray, pictures: np.ndarray) -> Estimate:
    """Spearman's correlation over captions that have both numbers; without an interval where pictures are too few.

    >>> found = agreement(np.arange(12.0), np.arange(12.0) ** 2, np.arange(12) // 2)
    >>> found.value, found.low > 0.5, found.n
    (1.0, True, 12)
    >>> agreement(np.ones(12), np.arange(12.0), np.arange(12)).value is None
    True
    """
    both = np.isfinite(judge) & np.isfinite(truth)
    n = int(both.sum())
    if n < FEWEST or is_constant(judge[both]) or is_constant(truth[both]):
        return Estimate(None, None, None, n)
    z = left_out(judge[both], truth[both], pictures[both])
    low, high = interval(z, LEAST / np.sqrt(max(n - 3, 1)))
    value = round(float(np.tanh(z[0])), 9)
    if low is None or high is None:
        return Estimate(value, None, None, n)
    return Estimate(value, float(np.tanh(low)), float(np.tanh(high)), n)


def closer(one: np.ndarray, other: np.ndarray, truth: np.ndarray, pictures: np.ndarray, tests: int = 1) -> str:
    """Verdict on whether one judge agrees better with the truth than another, over captions that have all three.

    It is about the difference of Fisher's z, whose interval is again the jackknife's over pictures, and Bonferroni's
    where it is one of several ``tests``.

    >>> truth, noise = np.arange(40.0), np.random.default_rng(0).normal(0, 15, 40)
    >>> closer(truth, noise, truth + noise / 9, np.arange(40)), closer(truth, truth, noise, np.arange(40))
    ('supported', 'undecidable')
    """
    all_three = np.isfinite(one) & np.isfinite(other) & np.isfinite(truth)
    some = [values[all_three] for values in (one, other, truth)]
    if all_three.sum() < FEWEST or any(map(is_constant, some)):
        return OPEN
    z = left_out(some[0], some[2], pictures[all_three]) - left_out(some[1], some[2], pictures[all_three])
    return verdict(Estimate(float(z[0]), *interval(z, tests=tests), len(some[0])), 1)


def best(judges: dict[str, np.ndarray], truth: np.ndarray, pictures: np.ndarray) -> tuple[list[str], list[str]]:
    """The judge that agrees most with a truth, before those that cannot be told from it; and those that it beats.

    Which one is first, the data say, so that any two judges might have been compared: Bonferroni's level is that of all
    pairs, and in one of twenty cases at most is a judge that is as good among the beaten. Nobody is best where no
    judge's agreement is known to be positive.
    """
    found = {name: agreement(values, truth, pictures) for name, values in judges.items()}
    known = [name for name, one in found.items() if verdict(one, 1) == SUPPORTED]
    if not known:
        return [], []
    first = max(known, key=lambda name: found[name].value or 0.0)
    rivals = [name for name, one in found.items() if name != first and one.value is not None]
    pairs = len(rivals) * (len(rivals) + 1) // 2
    beaten = [one for one in rivals if closer(judges[first], judges[one], truth, pictures, pairs) == SUPPORTED]
    level = [name for name in rivals if name not in beaten]
    return [first, *sorted(level, key=lambda name: -(found[name].value or 0.0))], beaten


def left_out(x: np.ndarray, y: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Fisher's z of Spearman's correlation of all, and then without each cluster; NaN where a side is constant."""
    names, own = np.unique(clusters, return_inverse=True)
    kept = np.vstack([np.ones(len(own)), own != np.arange(len(names))[:, None]])
    return fisher(weighted_r(stats.rankdata(tied(x)), stats.rankdata(tied(y)), kept))


def interval(z: np.ndarray, least: float = 0.0, tests: int = 1) -> tuple[float | None, float | None]:
    """The 95 % interval of the first by the others, each of which lacks a cluster; none where these are too few.

    ``least`` is the smallest standard error that is believed, and ``tests`` how many intervals hold at once.
    """
    full, count = z[0], len(z) - 1
    if count < FEWEST_CLUSTERS or not np.isfinite(z).all():
        return None, None
    error = max(float(np.sqrt((count - 1) * z[1:].var())), least)
    half = float(stats.t.ppf(1 - 0.025 / tests, count - 1)) * error
    return float(full - half), float(full + half)
