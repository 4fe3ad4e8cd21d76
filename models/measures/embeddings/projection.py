"""Embeddings in the plane, by UMAP (McInnes et al. 2018; paper *inpainting*, figure 6).

UMAP keeps neighbours together. How far two clusters lie apart, and how large one is, mean little.
"""

from __future__ import annotations

import math
import sys
import warnings
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np
from pydantic import Field

from models.adapters.settings import Settings
from models.measures import Metric

VERSION = 1
"""Raised when the same embeddings give other coordinates."""

METRICS = tuple(
    Metric(
        f"umap_{axis}",
        f"UMAP {axis}",
        position,
        "other",
        "coordinate of an embedding, by UMAP (McInnes et al. 2018)",
        higher_is_better=None,
        low=-math.inf,
        checkpoint=True,
    )
    for axis, position in (("x", 521), ("y", 522))
)

FEWEST = 4
"""Fewer points have no neighbourhoods to keep."""

MANY = 4096
"""Of so many points UMAP compares not every one with every other."""


class Projection(Settings):
    """Settings of UMAP: number of ``neighbours``, and least distance of points; distances are the cosine's."""

    neighbours: int = Field(15, ge=2)
    min_dist: float = Field(0.1, ge=0, le=1)
    seed: int = Field(0, ge=0, lt=2**32)


def load() -> None:
    """Import UMAP, ready for few points."""
    import_umap(True)


@cache
def import_umap(few: bool, /) -> None:
    """Import UMAP. Numba compiles it at its first use, which takes seconds, and keeps what it compiled on disk.

    Where points are ``few``, what UMAP has beside it to find the neighbours of many is not compiled: it takes most of
    the time and is not used.
    """
    import numba
    from numba.extending import is_jitted

    for name in [name for name in sys.modules if name.partition(".")[0] in ("umap", "pynndescent")]:
        del sys.modules[name]  # imported for few, maybe
    config: Any = numba.config  # its attributes are made when it is imported
    off = config.DISABLE_JIT
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # UMAP would like TensorFlow, for what is not used here
        try:
            config.DISABLE_JIT = few or off
            import pynndescent  # noqa: F401
        finally:
            config.DISABLE_JIT = off
        from umap import distances, layouts, umap_, utils
    with suppress(RuntimeError):  # no folder can be written: it is compiled each time
        for module in (distances, layouts, umap_, utils):
            for function in filter(is_jitted, vars(module).values()):
                function.enable_caching()


def project(embeddings: np.ndarray, settings: Projection) -> np.ndarray:
    """Coordinates (N, 2) float32 of embeddings (N, D), all fitted together, starting from principal components.

    Equal embeddings in the same order give equal coordinates on one machine: the seed is fixed and one thread works. Of
    fewer than ``FEWEST`` points the coordinates are the principal components themselves; neighbours are clipped to what
    there is. Raises ``ValueError`` where an embedding is not finite.

    >>> project(np.array([[0.0, 3.0], [0.0, 1.0]]), Projection()).tolist()
    [[1.0, 0.0], [-1.0, 0.0]]
    """
    if not np.isfinite(embeddings).all():
        raise ValueError("An embedding that is not finite has no place in the plane; look at the encoder's dtype.")
    if len(embeddings) < FEWEST:
        return principal_components(embeddings)
    import_umap(len(embeddings) < MANY)
    from umap import UMAP

    return UMAP(
        n_neighbors=min(settings.neighbours, len(embeddings) - 1),
        min_dist=settings.min_dist,
        metric="cosine",
        init="pca",
        random_state=settings.seed,
        n_jobs=1,
    ).fit_transform(embeddings.astype(np.float32))


def principal_components(embeddings: np.ndarray) -> np.ndarray:
    """The first two principal components (N, 2) float32; zero where there are fewer, each positive at its largest."""
    centred = embeddings.astype(np.float64) - embeddings.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    found = np.zeros((len(embeddings), 2), np.float32)
    found[:, : min(2, len(s))] = (u * s)[:, :2]
    largest = found[np.abs(found).argmax(axis=0), range(2)]
    return found * np.where(largest < 0, -1, 1).astype(np.float32) + np.float32(0)
