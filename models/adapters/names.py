"""Names that nobody knows, in a sentence; without pydantic, which a machine that only trains may lack."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def unknown(what: str, name: object, known: Iterable[str]) -> str:
    """The sentence about a name that nobody knows.

    >>> unknown("captioner", "blib", ["blip", "qwen"])
    'There is no captioner "blib"; did you mean "blip"? Known: blip, qwen.'
    """
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f'; did you mean "{near[0]}"?' if near else "."
    return f'There is no {what} "{name}"{hint} Known: {", ".join(names) or "none"}.'
