"""Small checkpoints of our own: real architectures, real formats, trained on the generated worlds by the recipes here.

``weights/<name>`` holds what :func:`train` made, each with a model card. Importing this package costs nothing; torch
comes with the recipe.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

from models.settings import unknown

WEIGHTS = Path(__file__).parent / "weights"

RECIPES = {
    "vae": "models.pocket.vae:Vae",
    "vae16": "models.pocket.vae:Vae16",
    "vit": "models.pocket.vit:Vit",
    "llava": "models.pocket.llava:Llava",
    "qwen": "models.pocket.qwen:Qwen",
    "sd15": "models.pocket.unet:Sd15",
    "sd2": "models.pocket.unet:Sd2",
    "sd3": "models.pocket.sd3:Sd3",
    "blip": "models.pocket.blip:Blip",
    "sbert": "models.pocket.sbert:Sbert",
    "simcse-sup": "models.pocket.simcse:Supervised",
    "simcse-unsup": "models.pocket.simcse:Unsupervised",
    "squeezenet": "models.pocket.squeezenet:Squeezenet",
    "probe": "models.pocket.probe:Probe",
    "clap": "models.pocket.clap:Clap",
}
"""Recipe -> where it is. ``sd15`` and ``sd2`` need the trained ``vae``, ``sd3`` needs ``vae16``."""


def check_name(name: str) -> None:
    """Raise ValueError, with the nearest name, where there is no recipe of this one."""
    if name not in RECIPES:
        raise ValueError(unknown("recipe", name, RECIPES))


def train(
    name: str,
    log: Callable[[dict[str, float], int], None] | None = None,
    resume: bool = True,
    steps: int | None = None,
    corpora: Sequence[Path | str] = (),
    build: Path | str = Path("build/pocket"),
    weights: Path | str = WEIGHTS,
) -> dict[str, float]:
    """Train the pocket model ``name``, write it with its card under ``weights`` and return its held-out figures.

    ``log(figures, step)`` hears of losses as they come and of the held-out figures at the end. ``corpora`` are folders
    of prepared corpora (Parquet shards); only their ``train`` split is learnt, ``test`` is held out. Caches and the
    checkpoint from which an interrupted training resumes live under ``build``. Raises ValueError for an unknown name
    and FileNotFoundError where a corpus or a model that this one builds on is missing.
    """
    check_name(name)
    module, _, kind = RECIPES[name].partition(":")
    recipe = getattr(importlib.import_module(module), kind)(Path(build), Path(weights), [Path(c) for c in corpora])
    return recipe.train(log or (lambda figures, step: None), resume, steps)
