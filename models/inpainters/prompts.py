"""Prompts of inpainters (paper *inpainting*, appendix D)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

EXPRESSION_WORDS = 50
"""To how many words the expressions about one object are cut: about as many as the 75 tokens that CLIP reads hold."""


def prompt(references: Sequence[str], annotations: Mapping[str, Any]) -> str:
    """The prompt for a picture with these references, by what its annotations say it is.

    - One object that all references single out (``target``): "multiple bounding-box captions are concatenated into a
      single prompt describing the target region, truncated to a maximum of [blank] tokens to avoid prompt overflow".
      The cut is made here, in words, so that the prompt in an item's key is the one that mattered.
    - A plotted series: "a short reconstruction instruction followed by the raw numeric time-series and its
      description", which is the first reference.
    - Everything else: the first reference. ("Captions associated with the original images are used directly as
      prompts"; the paper counts image-caption pairs, and does not say that it concatenates them as it does for boxes.)

    All this describes what was under the mask; an inpainter whose entry says ``prompted: false`` gets no prompt.

    >>> prompt(["a red star", "one star"], {})
    'a red star'
    >>> prompt(["the left star", "the red one"], {"target": 0})
    'the left star. the red one'
    >>> prompt(["it peaks"], {"series": {"values": [1, 2.5]}})
    'restore the plot: 1 2.5. it peaks'
    """
    if annotations.get("target") is not None:
        words = ". ".join(text.rstrip(" .") for text in references).split()
        return " ".join(words[:EXPRESSION_WORDS])
    description = references[0] if references else ""
    if annotations.get("series") is None:
        return description
    numbers = " ".join(f"{value:.4g}" for value in annotations["series"]["values"])
    return f"restore the plot: {numbers}. {description}"
