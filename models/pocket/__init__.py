"""Small checkpoints of our own: real architectures, real formats, trained on the generated worlds by the recipes in
:mod:`models.training`. ``weights/<name>`` holds what a recipe made, each with a model card.
"""

from __future__ import annotations

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
