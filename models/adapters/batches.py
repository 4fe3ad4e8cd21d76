"""Which items share a forward, and how many rows it has: exactly on a CPU, quickly elsewhere.

Kernels round otherwise for another batch shape. On a CPU an item's bytes do not depend on its batch: only items that
are alike share a forward, and that always has as many rows, the last repeated where there are fewer. On a GPU, where
they lie within a tolerance, items of different lengths share one (padded, masked), and no row is computed twice.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

T = TypeVar("T")


def shares(device: str) -> bool:
    """Whether items on a device of this type share a forward with others than those like them."""
    return device != "cpu"


def in_batches(
    alike: Sequence[Hashable], size: int, shared: bool, compute: Callable[[list[int]], Sequence[T]]
) -> list[T]:
    """Results of ``compute`` for each index, called with at most ``size`` indices of items that are ``alike``.

    Unless forwards are ``shared`` it is called with ``size`` of them, of which the last may be repeated.

    >>> in_batches("abaa", 2, False, lambda rows: [print(rows), *rows][1:])
    [0, 2]
    [3, 3]
    [1, 1]
    [0, 1, 2, 3]
    """
    groups: dict[Hashable, list[int]] = {}
    for index, key in enumerate(alike):
        groups.setdefault(key, []).append(index)
    results: dict[int, T] = {}
    for some in (group[start : start + size] for group in groups.values() for start in range(0, len(group), size)):
        rows = some if shared else some + some[-1:] * (size - len(some))
        results.update(zip(some, compute(rows), strict=False))
    return [results[index] for index in range(len(alike))]


def by_length(lengths: Sequence[int], size: int) -> list[int]:
    """The batch of each item where those of about one length share one.

    >>> by_length([9, 2, 8, 3, 1], 2)
    [2, 0, 1, 1, 0]
    """
    batches = [0] * len(lengths)
    for place, index in enumerate(sorted(range(len(lengths)), key=lengths.__getitem__)):
        batches[index] = place // size
    return batches
