"""The texts that captions are compared with: what is refused, and what a value depends on."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any


def check_references(references: Mapping[str, Sequence[str]]) -> None:
    """Refuse a corpus in which an item has no references, or something other than a list of texts.

    >>> check_references({"cat": []})
    Traceback (most recent call last):
        ...
    ValueError: 'cat' has no references: give at least one text, or leave it out
    """
    if not references:
        raise ValueError("there are no references: give at least one item with one text")
    for key, texts in references.items():
        check_own(key, texts)


def check_own(key: str, texts: Sequence[str]) -> None:
    """Refuse the references of one item where they are none, or something other than a list of texts.

    >>> check_own("cat", "a cat")
    Traceback (most recent call last):
        ...
    ValueError: the references of 'cat' are 'a cat': expected a list of texts
    """
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"the references of {key!r} are {texts!r:.80}: expected a list of texts")
    if not texts:
        raise ValueError(f"{key!r} has no references: give at least one text, or leave it out")


def check_hypotheses(hypotheses: Mapping[str, str], references: Mapping[str, Any], what: str = "references") -> None:
    """Refuse captions that are not texts, and ids without references, or without what else they are compared with.

    >>> check_hypotheses({"cot": "a cat"}, {"cat": ["a cat"]})
    Traceback (most recent call last):
        ...
    ValueError: 'cot' has a caption but no references: did you mean 'cat'?
    """
    for key, caption in hypotheses.items():
        if key not in references:
            near = difflib.get_close_matches(str(key), map(str, references), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {what} of {len(references)} other ids"
            raise ValueError(f"{key!r} has a caption but no {what}: {hint}")
        if not isinstance(caption, str):
            raise ValueError(f"the caption of {key!r} is {caption!r:.80}: expected a text")


def reference_digest(references: Mapping[str, Sequence[str]]) -> str:
    """Digest of a corpus's references, whatever the order of ids.

    CIDEr of any caption depends on all of them (document frequencies); the other metrics on the item's own alone.

    >>> reference_digest({"a": ["x"], "b": ["y"]}) == reference_digest({"b": ["y"], "a": ["x"]})
    True
    """
    canonical = json.dumps({key: list(texts) for key, texts in references.items()}, sort_keys=True)
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"
