"""The papers that the project implements, as they are cited."""

from __future__ import annotations

from typing import NamedTuple


class Paper(NamedTuple):
    """A paper: its title, its authors as one text, and where it is read."""

    title: str
    authors: str
    link: str


INPAINTING = Paper(
    "How Do Inpainting Artifacts Propagate to Language?",
    "Pratham Yashwante, Davit Abrahamyan, Shresth Grover and Sukruth Rao",
    "https://arxiv.org/abs/2602.20520",
)
