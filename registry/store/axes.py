"""The axes of the grid: what tells the cells of a study apart."""

from __future__ import annotations

AXES = ("degradation", "inpainter", "captioner")

NONE = "none"
"""How an axis is called where it does not apply: the originals have no degradation."""
