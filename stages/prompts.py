"""What an inpainter is told (paper *inpainting*, appendix D)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def inpainting_prompt(row: Mapping[str, Any]) -> str:
    """The prompt for a prepared row: its first reference; for a plotted series an instruction, its numbers, then that.

    The paper prompts with the references, which tells the model what was under the mask; an inpainter whose entry says
    ``prompted: false`` is told nothing.

    >>> inpainting_prompt({"references": ["a red star", "one star"], "annotations": "{}"})
    'a red star'
    >>> inpainting_prompt({"references": ["it peaks"], "annotations": '{"series": {"values": [1, 2.5]}}'})
    'restore the plot: 1 2.5. it peaks'
    """
    description = row["references"][0] if row["references"] else ""
    series = json.loads(row["annotations"]).get("series")
    if series is None:
        return description
    numbers = " ".join(f"{value:.4g}" for value in series["values"])
    return f"restore the plot: {numbers}. {description}"
