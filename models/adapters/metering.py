"""Tokens that endpoints said they took, and what these cost: counted as replies come, by model.

They are costs of an execution and no part of a result, so they travel beside the values: who computes asks for what was
spent since it last asked.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping

Spent = Mapping[str, Counter[str]]
"""By model: ``requests`` that were answered, their ``prompt_tokens``, of which ``cached_tokens`` were known to the
server, ``completion_tokens``, and ``cost``, in whatever money prices are given in."""

_lock = threading.Lock()
_spent: defaultdict[str, Counter[str]] = defaultdict(Counter)


def count(model: str, amounts: Counter[str]) -> None:
    """Count what one reply took."""
    with _lock:
        _spent[model].update(amounts)


def taken() -> dict[str, Counter[str]]:
    """What this process has spent since this was asked before.

    >>> _ = taken()
    >>> count("gpt", Counter(requests=1, prompt_tokens=20)), count("gpt", Counter(requests=1, prompt_tokens=5))
    (None, None)
    >>> taken(), taken()
    ({'gpt': Counter({'prompt_tokens': 25, 'requests': 2})}, {})
    """
    with _lock:
        found = dict(_spent)
        _spent.clear()
    return found


def merged(*several: Spent) -> dict[str, Counter[str]]:
    """What was spent in all."""
    whole: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in several:
        for model, amounts in one.items():
            whole[model].update(amounts)
    return dict(whole)
