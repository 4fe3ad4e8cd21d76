"""``project@encoder``: where embeddings lie in the plane, the originals and all repaintings of a corpus together.

Equal pictures are one point. A coordinate depends on all embeddings of its corpus, so their digest is in every key.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from models.adapters.settings import validated
from models.measures.embeddings.projection import VERSION, Projection, load, project
from registry.store.keys import digest
from stages.engine.loop import Node, Outcome, Task, command, execute
from stages.engine.shards import count_rows, read_rows, read_shard, shards
from stages.engine.study import Study, read_study

REPRESENTED, OUT = Path("data/represent"), Path("data/project")
AXES = ("degradation", "inpainter")
COORDINATES = ("umap_x", "umap_y")
ALL = 1_000_000
"""Items in a batch: fitted once, the points of a corpus are all there."""


class Points:
    """The embeddings of one corpus, in the order of their items' keys; fitted when a coordinate is first asked for."""

    def __init__(self, folder: Path, settings: Projection) -> None:
        known = {row["key"]: row["embedding"] for row in read_rows(folder, ("key", "embedding"))}
        keys = sorted(key for key, embedding in known.items() if embedding and None not in embedding)
        self.settings = settings
        self.places = {key: place for place, key in enumerate(keys)}
        self.embeddings = np.array([known[key] for key in keys], np.float32)
        self.digest = digest(self.embeddings.tobytes())

    @cached_property
    def fitted(self) -> np.ndarray:
        return project(self.embeddings, self.settings)


class Inputs(NamedTuple):
    points: Points
    place: int


def plan(folder: Path, settings: Projection) -> Iterator[tuple[str, list[Task]]]:
    """Every picture that has an embedding, corpus by corpus and shard by shard."""
    for corpus in sorted({path.parent for path in shards(folder)}):
        points = Points(corpus, settings)
        parts = {"embeddings": points.digest, "projection": settings.model_dump(), "version": VERSION}
        for path in shards(corpus):
            rows = [row for row in read_shard(path, ("corpus", "sample", "key", *AXES)) if row["key"] in points.places]
            yield (
                str(path.relative_to(folder)),
                [
                    Task(
                        row["corpus"],
                        row["sample"],
                        {axis: row[axis] for axis in AXES},
                        {**parts, "item": row["key"]},
                        (row["key"],),
                        Inputs(points, points.places[row["key"]]),
                    )
                    for row in rows
                ],
            )


def place(task: Task) -> Outcome:
    """The coordinates of one picture, to six digits."""
    found = task.inputs.points.fitted[task.inputs.place]
    return Outcome({name: float(f"{value:.6g}") for name, value in zip(COORDINATES, found, strict=True)})


def ready() -> str:
    """Import what fits, which always runs on the CPU."""
    load()
    return "cpu"


def node(study: Study, name: str) -> Node:
    """The stage of the encoder that a study calls NAME."""
    entry = study.entry("encoders", name)
    settings = validated(f"the projection of {name}", Projection, entry.get("projection", {}))
    folder = REPRESENTED / name
    return Node(
        name=f"project@{name}",
        kind=f"project.{name}",
        out=OUT / name,
        fields=[*((axis, pa.string()) for axis in AXES), *((one, pa.float64()) for one in COORDINATES)],
        axes=AXES,
        settings=settings.model_dump(),
        study=study.study,
        total=count_rows(shards(folder)),
        plan=plan(folder, settings),
        compute=lambda tasks, seeds: [place(task) for task in tasks],
        load=ready,
        batch_size=ALL,
    )


def main(name: str) -> None:
    """Bring what the encoder that params.yaml calls NAME made of pictures into the plane."""
    execute(node(read_study(), name))


if __name__ == "__main__":
    command(main)
