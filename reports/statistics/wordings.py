"""Changes of a caption: the words that changed, and the kinds of error that came in."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import NamedTuple

WORDS = 80
"""How many words of a caption are shown."""

HALLUCINATED = {
    "object hallucinated": ("object_hallucination", "chair_i"),
    "attribute hallucinated": ("attribute_hallucination",),
    "relation hallucinated": ("relation_hallucination",),
}
OMITTED = {
    "object omitted": ("object_recall",),
    "attribute omitted": ("attribute_recall",),
    "relation omitted": ("relation_recall",),
}
GROUNDED = [metric for metrics in (*HALLUCINATED.values(), *OMITTED.values()) for metric in metrics]
"""The metrics that tell errors apart: those of captions against what a picture is known to show."""

OTHER, SAME = "other words", "same words"

Run = tuple[str, bool]
"""Some words, and whether they changed."""

Grounding = Mapping[tuple[str, str], float | None]
"""Values of a caption by metric and region."""


class Error(NamedTuple):
    """One kind of error, and where alone it came in: inside or outside the mask, or ""."""

    kind: str
    where: str


def changed_words(before: str, after: str) -> tuple[list[Run], list[Run]]:
    """Both captions as runs of words, those marked that the other does not have in their place.

    >>> changed_words("a red circle", "a blue circle")
    ([('a', False), ('red', True), ('circle', False)], [('a', False), ('blue', True), ('circle', False)])
    """
    a, b = shortened(before), shortened(after)
    old: list[Run] = []
    new: list[Run] = []
    for kind, a_from, a_to, b_from, b_to in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if a_from < a_to:
            old.append((" ".join(a[a_from:a_to]), kind != "equal"))
        if b_from < b_to:
            new.append((" ".join(b[b_from:b_to]), kind != "equal"))
    return old, new


def shortened(caption: str) -> list[str]:
    """The first words of a caption; an ellipsis says that there are more."""
    words = caption.split()
    return words if len(words) <= WORDS else [*words[:WORDS], "…"]


def errors(before: str, after: str, was: Grounding, now: Grounding) -> list[Error]:
    """The errors that the second caption makes and the first does not, by what both get right of the same picture.

    A claim of nothing is no hallucination, so that a ratio over nothing counts as 0.

    >>> errors("a red box", "a bell", {("object_recall", "whole"): 1.0}, {("object_recall", "whole"): 0.5})
    [Error(kind='object omitted', where='')]
    >>> errors("a red box", "a bell", {}, {})
    [Error(kind='other words', where='')]
    """

    def worse(metrics: tuple[str, ...], sign: int, region: str) -> bool:
        pairs = ((was.get((metric, region)) or 0.0, now.get((metric, region)) or 0.0) for metric in metrics)
        return any(sign * (new - old) > 0 for old, new in pairs)

    if before.split() == after.split():
        return [Error(SAME, "")]
    found = []
    for kinds, sign in ((HALLUCINATED, 1), (OMITTED, -1)):
        for kind, metrics in kinds.items():
            if worse(metrics, sign, "whole"):
                inside, outside = worse(metrics, sign, "region"), worse(metrics, sign, "outside")
                where = "" if inside == outside else "inside the mask" if inside else "outside the mask"
                found.append(Error(kind, where))
    return found or [Error(OTHER, "")]
