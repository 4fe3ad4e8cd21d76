"""Training of the pocket checkpoints: one recipe each, on the generated worlds.

Importing this package costs nothing; torch comes with the recipe.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

from models.adapters.names import unknown
from models.pocket import WEIGHTS

RECIPES = {
    "vae": "models.training.vae:Vae",
    "vae16": "models.training.vae:Vae16",
    "vit": "models.training.vit:Vit",
    "llava": "models.training.llava:Llava",
    "qwen": "models.training.qwen:Qwen",
    "sd15": "models.training.unet:Sd15",
    "sd2": "models.training.unet:Sd2",
    "sd3": "models.training.sd3:Sd3",
    "sd3-paint": "models.training.painter:Sd3Painter",
    "blip": "models.training.blip:Blip",
    "sbert": "models.training.sbert:Sbert",
    "simcse-sup": "models.training.simcse:Supervised",
    "simcse-unsup": "models.training.simcse:Unsupervised",
    "squeezenet": "models.training.squeezenet:Squeezenet",
    "probe": "models.training.probe:Probe",
    "clap": "models.training.clap:Clap",
    "language": "models.training.language:Language",
    "reviser": "models.training.reviser:Reviser",
}
"""Recipe -> where it is. ``sd15``, ``sd2`` and ``sd3-paint`` need the trained ``vae``, ``sd3`` needs ``vae16``."""


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
