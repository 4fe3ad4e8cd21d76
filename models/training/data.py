"""Training data of pocket models: the generated worlds, and prepared corpora of plotted series."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from models.media.images import decode_png
from models.worlds import example, version
from models.worlds.grammar import BACKGROUNDS, WORDS

TRAIN_SEED, HELD_OUT_SEED = 1, 2
"""Worlds for learning and for the cards' figures. Seed 0 is the studies' and is never learnt from."""

COUNTS = {"scenes": 30_000, "referring": 10_000, "series": 10_000, "radiographs": 6000, "spectrograms": 5000}
"""How many examples of each world most recipes learn from."""

PATCH, GRID = 8, 8
"""Pixels of a patch's side, patches of a picture's: what :func:`dense_labels` are about."""


@dataclass(frozen=True)
class Examples:
    """Pictures (N, 64, 64, 3) uint8 with their captions and annotations: a scene graph or ``{"series": ...}``."""

    pictures: np.ndarray
    captions: list[list[str]]
    annotations: list[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.captions)


def world(name: str, seed: int, count: int, build: Path) -> Examples:
    """The first ``count`` examples of a world's ``seed``, rendered once and kept under ``build``.

    Raises ValueError, with the nearest name, where there is no world of this one.
    """
    stem = f"{name}-v{version(name)}-{seed}-"
    kept = {int(path.stem.removeprefix(stem)): path for path in (build / "worlds").glob(f"{stem}*.json")}
    enough = min((size for size in kept if size >= count), default=None)
    if enough is None:
        enough, kept[count] = count, build / "worlds" / f"{stem}{count}.json"
        kept[count].parent.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(2) as pool:
            made = list(pool.map(partial(example, name, seed), range(count), chunksize=500))
        np.save(kept[count].with_suffix(".npy"), np.stack([one.picture for one in made]))
        kept[count].write_text(json.dumps([[one.references, one.graph] for one in made]))
    captions, graphs = zip(*json.loads(kept[enough].read_text())[:count], strict=True)
    return Examples(np.load(kept[enough].with_suffix(".npy"))[:count], list(captions), list(graphs))


def corpus(folders: Sequence[Path], split: str) -> Examples:
    """One split of prepared corpora of 64 x 64 pictures, in the order of their sample ids."""
    import pyarrow.parquet as parquet

    rows: list[dict[str, Any]] = []
    for folder in folders:
        shards = sorted(Path(folder).glob("*.parquet"))
        if not shards:
            raise FileNotFoundError(f"{folder} holds no Parquet shards; a prepared corpus was expected. Prepare it.")
        for shard in shards:
            rows += parquet.read_table(
                shard, columns=["sample", "image", "references", "annotations"], filters=[("split", "=", split)]
            ).to_pylist()
    rows.sort(key=lambda row: row["sample"])
    pictures = [decode_png(row["image"]["bytes"]) for row in rows]
    wrong = {picture.shape for picture in pictures} - {(64, 64, 3)}
    if wrong:
        raise ValueError(f"Pocket models learn from 64 x 64 pictures; {folders} hold {wrong}. Prepare at that size.")
    return Examples(
        np.stack(pictures) if pictures else np.zeros((0, 64, 64, 3), np.uint8),
        [row["references"] for row in rows],
        [json.loads(row["annotations"]) for row in rows],
    )


def dense_labels(graphs: Sequence[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label each patch by the object whose box covers most of it, if that is at least an eighth of the patch.

    Returns classes (N, patches, 4) with 0 for "no object", the object's centre (N, patches, 2) as x and y in [-1, 1]
    across the picture, and the backgrounds' numbers (N,).

    >>> classes, centres, _ = dense_labels([{"background": "sky", "objects": [
    ...     {"shape": "ring", "color": "red", "texture": "plain", "size": "small", "box": [48, 0, 16, 16]}]}])
    >>> classes[0, 6].tolist(), centres[0, 6].tolist()
    ([6, 1, 1, 1], [0.75, -0.75])
    """
    edges, half = np.arange(GRID) * PATCH, GRID * PATCH / 2
    labels = np.zeros((len(graphs), GRID, GRID, len(WORDS)), np.int8)
    centres = np.zeros((len(graphs), GRID, GRID, 2), np.float32)
    for number, graph in enumerate(graphs):
        most = np.full((GRID, GRID), PATCH * PATCH / 8)
        for thing in graph["objects"]:
            x, y, w, h = thing["box"]
            across = np.clip(np.minimum(edges + PATCH, x + w) - np.maximum(edges, x), 0, None)
            down = np.clip(np.minimum(edges + PATCH, y + h) - np.maximum(edges, y), 0, None)
            shared = down[:, None] * across[None, :]
            here = shared > most
            most = np.maximum(most, shared)
            labels[number][here] = [1 + list(values).index(thing[name]) for name, values in WORDS.items()]
            centres[number][here] = (x + w / 2) / half - 1, (y + h / 2) / half - 1
    grounds = np.array([BACKGROUNDS.index(graph["background"]) for graph in graphs], np.int8)
    patches = GRID * GRID
    return labels.reshape(-1, patches, len(WORDS)), centres.reshape(-1, patches, 2), grounds
