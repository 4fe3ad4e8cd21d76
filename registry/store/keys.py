"""Item keys: what makes two computations the same computation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

Parts = Mapping[str, Any]
"""What an item's value depends on: digests of its inputs, the prompt, the adapter's identity and version."""


def canonical(value: Any) -> str:
    """JSON with sorted keys, no spaces and no NaN: equal values give equal text.

    >>> canonical({"b": 1, "a": [0.5, None]})
    '{"a":[0.5,null],"b":1}'

    Raises ``TypeError`` for what JSON cannot hold and ``ValueError`` for NaN or infinity: an unhashable input is a bug,
    not something to paper over with a random key.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(data: bytes) -> str:
    """The sha256 of some bytes, in hex.

    >>> digest(b"")[:12]
    'e3b0c44298fc'
    """
    return hashlib.sha256(data).hexdigest()


def item_key(kind: str, parts: Parts) -> str:
    """The key of an item: sha256 over its kind and the canonical JSON of its parts.

    >>> item_key("caption", {"image": "ab", "beams": 3}) == item_key("caption", {"beams": 3, "image": "ab"})
    True
    """
    return digest(canonical([kind, dict(parts)]).encode())


def item_seed(key: str) -> int:
    """The seed of an item's own random generator, 0 ≤ seed < 2**63, taken from its key.

    >>> item_seed("0" * 63 + "1"), item_seed("f" * 64) < 2**63
    (0, True)
    """
    return int(key[:16], 16) >> 1


def painting_seed(seed: int, text: str) -> int:
    """The seed of a painting's noise, 0 ≤ seed < 2**63: of all paintings of a text by painters set to ``seed``."""
    return item_seed(digest(f"{seed} {text}".encode()))


def differing_parts(a: Parts, b: Parts, prefix: str = "") -> list[tuple[str, Any, Any]]:
    """The dotted names of the parts in which two keys differ, with both values (None where one side lacks the part).

    >>> differing_parts({"model": {"steps": 20}, "image": "x"}, {"model": {"steps": 50}, "image": "x"})
    [('model.steps', 20, 50)]
    """
    differences: list[tuple[str, Any, Any]] = []
    for name in sorted({*a, *b}):
        one, other = a.get(name), b.get(name)
        if one == other:
            continue
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            differences += differing_parts(one, other, f"{prefix}{name}.")
        else:
            differences.append((f"{prefix}{name}", one, other))
    return differences
