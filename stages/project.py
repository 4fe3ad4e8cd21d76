"""``project@encoder``: where embeddings lie in the plane, the originals and all repaintings of a corpus together.

Equal pictures are one point. A coordinate depends on all embeddings of its corpus, so their digest is in every key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from models.adapters.settings import validated
from models.measures.embeddings.projection import VERSION, Projection, load, project
from registry.store.dag import STAGES
from registry.store.keys import digest
from stages.engine.loop import command, execute
from stages.engine.node import Node
from stages.engine.shards import DISK, Outputs
from stages.engine.study import Study, read_study
from stages.engine.tasks import Outcome, Task

STAGE = STAGES["project"]
COORDINATES = tuple(name for name, _ in STAGE.fields)
ALL = 1_000_000
"""Items in a batch: fitted once, the points of a corpus are all there."""


class Points:
    """The embeddings of one corpus, in the order of their items' keys."""

    def __init__(self, folder: Path, outputs: Outputs) -> None:
        known = {row["key"]: row["embedding"] for row in outputs.rows(folder, ("key", "embedding"))}
        keys = sorted(key for key, embedding in known.items() if embedding and None not in embedding)
        self.places = {key: place for place, key in enumerate(keys)}
        self.embeddings = np.array([known[key] for key in keys], np.float32)
        self.digest = digest(self.embeddings.tobytes())


class Embedded(NamedTuple):
    """An embedding by its place among those of its corpus; ``digest`` is that of all."""

    folder: Path
    digest: str
    place: int
    settings: Projection


@lru_cache(1)
def fitted(folder: Path, embeddings: str, settings: Projection) -> np.ndarray:
    """The coordinates (points, 2) of the embeddings in a folder, checked against their digest ``embeddings``.

    Raises ``ValueError`` where the folder holds others by now.
    """
    points = Points(folder, DISK)
    if points.digest != embeddings:
        raise ValueError(f"The embeddings in {folder} have changed while they were projected; run again.")
    return project(points.embeddings, settings)


def plan(folder: Path, settings: Projection, outputs: Outputs) -> Iterator[tuple[str, list[Task]]]:
    """Every picture that has an embedding, corpus by corpus and shard by shard."""
    for corpus in sorted({path.parent for path in outputs.shards(folder)}):
        points = Points(corpus, outputs)
        parts = {"embeddings": points.digest, "projection": settings.model_dump(), "version": VERSION}
        for path in outputs.shards(corpus):
            tasks = []
            for row in outputs.read(path, ("corpus", "sample", "key", *STAGE.axes)):
                key = row["key"]
                if key in points.places:
                    columns = {axis: row[axis] for axis in STAGE.axes}
                    inputs = Embedded(corpus, points.digest, points.places[key], settings)
                    tasks.append(Task(row["corpus"], row["sample"], columns, {**parts, "item": key}, (key,), inputs))
            yield str(path.relative_to(folder)), tasks


class Projector:
    """Brings embeddings into the plane, on the CPU."""

    def load(self) -> str:
        load()
        return "cpu"

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
        return [place(task.inputs) for task in tasks]


def place(one: Embedded) -> Outcome:
    """The coordinates of one picture, to six digits."""
    found = fitted(one.folder, one.digest, one.settings)[one.place]
    return Outcome({name: float(f"{value:.6g}") for name, value in zip(COORDINATES, found, strict=True)})


def node(study: Study, name: str, outputs: Outputs = DISK) -> Node:
    """The stage of the encoder that a study calls NAME."""
    entry = study.entry("encoders", name)
    settings = validated(f"the projection of {name}", Projection, entry.get("projection", {}))
    folder = STAGES["represent"].folder(name)
    return Node(
        stage=STAGE,
        entry=name,
        settings=settings.model_dump(),
        study=study.study,
        total=outputs.count(outputs.shards(folder)),
        plan=plan(folder, settings, outputs),
        worker=Projector(),
        batch_size=ALL,
    )


def main(name: str) -> None:
    """Bring what the encoder that params.yaml calls NAME made of pictures into the plane."""
    execute(node(read_study(), name))


if __name__ == "__main__":
    command(main)
