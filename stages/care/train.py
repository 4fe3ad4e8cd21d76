"""``palimpsest train``: a pocket model's recipe, with its curve in MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from models import training
from registry.tracking.runs import Curve


def train_pocket(name: str, corpora: Sequence[Path], steps: int | None) -> dict[str, float]:
    """Train the pocket model NAME and return its held-out figures.

    Raises ``ValueError`` for an unknown name, with the nearest known one.
    """
    training.check_name(name)
    with Curve("pocket", name, {"recipe": name, "corpora": [str(path) for path in corpora], "steps": steps}) as curve:
        return training.train(name, log=curve.log, corpora=corpora, steps=steps)
