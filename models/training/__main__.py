"""Trains a pocket model where only torch and transformers are installed: ``python -m models.training NAME``.

``palimpsest train`` does the same and logs to MLflow; a machine with an accelerator may have neither.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from models.pocket import WEIGHTS
from models.training import RECIPES, train


def main() -> None:
    """Train the recipe that the command line names, and print its losses and figures."""
    parser = argparse.ArgumentParser(prog="python -m models.training", description=train.__doc__)
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--build", type=Path, default=Path("build/pocket"))
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO)

    def say(figures: dict[str, float], step: int) -> None:
        speed = {"steps/s": step / figures["seconds"]} if "seconds" in figures else {}
        print(step, *(f"{name} {value:.4g}" for name, value in {**figures, **speed}.items()), flush=True)

    train(asked.name, say, steps=asked.steps, build=asked.build, weights=asked.weights)


if __name__ == "__main__":
    main()
