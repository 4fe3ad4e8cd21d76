"""Where this project differs from the inpainting paper, and what that paper leaves blank: one list, two renderings.

``departures.yaml`` is the list; ``docs/where-we-differ.md`` and the page of every report are made of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).with_name("departures.yaml")
LEAD = """What *How Do Inpainting Artifacts Propagate to Language?* says, what this project does where it does
otherwise, and what it does where the paper gives no number or does not say. Letters are the paper's appendices."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Departure:
    """One thing that is done otherwise, or that the paper leaves open."""

    paper: str
    """What it says, and where."""
    ours: str
    why: str
    blank: bool = False
    """Whether the paper gives no number or does not say."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Settings of ours that the entry speaks of, ``module:name.of.it`` -> value."""


def departures() -> dict[str, list[Departure]]:
    """The list by subject, in its order.

    >>> [one.ours for one in departures()["Inpainting"] if "steps" in one.paper]
    ['50 steps.']
    """
    read = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {subject: [Departure(**one) for one in some] for subject, some in read.items()}


def markdown(listed: Mapping[str, Sequence[Departure]]) -> str:
    """The list as a page of Markdown, a table a subject."""
    blocks = ["# Where we differ", LEAD, "Made of `registry/published/departures.yaml`; edit that, not this."]
    for subject, some in listed.items():
        rows = ["| the paper | | ours | why |", "|---|---|---|---|"]
        rows += [f"| {one.paper} | {'blank' if one.blank else 'differs'} | {one.ours} | {one.why} |" for one in some]
        blocks += [f"## {subject}", "\n".join(rows)]
    return "\n\n".join(blocks) + "\n"


if __name__ == "__main__":
    print(markdown(departures()), end="")
