"""10,000 permutations of a correlation, each with its jackknife, against a loop over pingouin.corr, one thread.

    python -m tests.bench.bench_resampling [rows] [pairs]

The loop is timed over 200 calls and scaled up. Prints seconds and ratios.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import pingouin

from reports.statistics.resampling import DRAWS, Stratum
from reports.statistics.significance import permutation_tests

CALLS = 200


def table(rows: int, columns: int) -> np.ndarray:
    """Columns that share a little with the first."""
    noise = np.random.default_rng(0).normal(size=(columns, rows))
    return noise + 0.1 * noise[0]


def loop(x: np.ndarray, ys: np.ndarray) -> None:
    """``CALLS`` calls, as one would write them."""
    rng = np.random.default_rng(0)
    for call in range(CALLS):
        pingouin.corr(x, rng.permutation(ys[call % len(ys)]))


def ours_permuted(x: np.ndarray, ys: np.ndarray) -> None:
    permutation_tests([[Stratum(np.arange(len(x)), x, y)] for y in ys], len(x))


def seconds(function: Callable[[np.ndarray, np.ndarray], None], x: np.ndarray, ys: np.ndarray, times: int) -> float:
    """The fastest of several runs: what else the machine does only ever adds."""
    found = []
    for _ in range(times):
        start = time.process_time()
        function(x, ys)
        found.append(time.process_time() - start)
    return min(found)


def main(rows: int = 500, pairs: int = 8) -> dict[str, float]:
    """Print the figures and return the ratios."""
    x, *rest = table(rows, pairs + 1)
    ratios = {}
    for count in sorted({1, pairs}):
        ys = np.array(rest[:count])
        plain = seconds(loop, x, ys, 3) / CALLS * DRAWS * count
        kind = f"{rows} rows, {count} pairs"
        took = seconds(ours_permuted, x, ys, 3)
        ratios[f"permutation, {count}"] = plain / took
        print(f"permutation  {kind:18} pingouin {plain:7.1f} s  ours {took:6.3f} s  ratio {plain / took:6.0f}")
    return ratios


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
