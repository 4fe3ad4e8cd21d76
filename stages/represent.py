"""``represent@encoder``: how far a repainted picture has moved for a vision encoder: what it sees, and where it looks.

Each batch holds the repaintings of a few pictures, whose originals are encoded with them, once each; attention is
reduced to its drift at once, so memory does not grow with the number of pictures. An original has an item too, with its
embedding and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from models.adapters.ahead import prepared
from models.adapters.finite import finite
from models.measures.embeddings.cosine import cosine
from models.measures.embeddings.drift import LAYERED, VERSION, drift
from models.measures.regions import REGIONS, column
from registry.store.dag import STAGES
from stages.engine.entries import Adapted
from stages.engine.loop import command, execute
from stages.engine.node import Node
from stages.engine.pairs import PREPARED, REPAINTED, Pair, pairs
from stages.engine.pictures import Picture, picture_of
from stages.engine.shards import DISK, Outputs
from stages.engine.study import Study, read_study
from stages.engine.tasks import Outcome, Task

STAGE = STAGES["represent"]


def plan(encoder: Adapted, inpainters: Iterable[str], outputs: Outputs) -> Iterator[tuple[str, list[Task]]]:
    """Every original, and every pair with what the drift's numbers depend on beside the encoder.

    An original has no axes, and its picture as inputs.
    """
    for shard, repainted in pairs(encoder, inpainters, outputs):
        tasks = [replace(task, parts={**task.parts, "drift": VERSION}) for task in repainted]
        path = PREPARED / shard
        for row in outputs.read(path, ("corpus", "sample", "key", "status", "image_digest")):
            if row["status"] != "ok":
                continue
            picture = picture_of(row, path)
            parts = {"original": picture.digest, "measure": encoder.identity}
            nowhere = dict.fromkeys(STAGE.axes)
            tasks.append(Task(row["corpus"], row["sample"], nowhere, parts, (row["key"],), picture))
        yield shard, sorted(tasks, key=lambda task: task.sample)


def pictures(task: Task) -> tuple[Picture, ...]:
    """The original, and what it became if the task is about that."""
    return (task.inputs.original, task.inputs.repainted) if isinstance(task.inputs, Pair) else (task.inputs,)


class Observer:
    """Compares pictures as an encoder sees them."""

    def __init__(self, encoder: Adapted) -> None:
        self.encoder = encoder

    @property
    def prepares(self) -> bool:
        return self.encoder.prepares

    def load(self) -> str:
        return self.encoder.load()

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
        return compare(self.encoder.adapter, tasks)


def compare(encoder: Any, tasks: Sequence[Task]) -> list[Outcome]:
    """The embeddings and the drift of one batch; equal pictures are encoded once."""
    different = {picture.digest: picture for task in tasks for picture in pictures(task)}
    encoded = encoder.encode(prepared(Picture.pixels, different.values()))
    for cls, looks in encoded:
        finite(cls, "the embedding of a picture")
        finite(looks, "the attention to a picture")
    seen = dict(zip(different, encoded, strict=True))
    outcomes = []
    for task in tasks:
        (cls, looks), *repainted = (seen[picture.digest] for picture in pictures(task))
        if not repainted:
            outcomes.append(Outcome({"embedding": rounded(cls)}))
            continue
        [(new_cls, new_looks)] = repainted
        [coverage] = encoder.coverage([task.inputs.mask.mask()])
        moved = drift(looks, new_looks, coverage)
        values = {column(metric, region): rounded(moved[metric][region]) for metric in LAYERED for region in REGIONS}
        heads = [rounded(moved["tvd_heads"][region]) for region in REGIONS]
        kept = {"embedding": rounded(new_cls), "tvd_heads": heads}
        outcomes.append(Outcome({"cls_cosine_whole": cosine(cls, new_cls)} | values | kept))
    return outcomes


def rounded(values: np.ndarray) -> list[Any]:
    """Numbers to six digits, which is more than float32 kernels agree on; None where there is none."""
    if values.ndim > 1:
        return [rounded(one) for one in values]
    return [None if np.isnan(value) else float(f"{value:.6g}") for value in values]


def node(study: Study, name: str, outputs: Outputs = DISK) -> Node:
    """The stage of the encoder that a study calls NAME."""
    entry = study.entry("encoders", name)
    encoder = Adapted(name, entry, "encoders")
    inpainters = list(study.variants("inpainters"))
    shards = [shard for inpainter in inpainters for shard in encoder.shards(outputs, REPAINTED / inpainter)]
    concerned = filter(encoder.concerns, study.entries("corpora"))
    shards += [shard for corpus in concerned for shard in outputs.shards(PREPARED / corpus)]
    layered = [(column(metric, region), pa.list_(pa.float64())) for metric in LAYERED for region in REGIONS]
    return Node(
        stage=STAGE,
        entry=name,
        settings=entry,
        study=study.study,
        total=outputs.count(shards),
        plan=plan(encoder, inpainters, outputs),
        worker=Observer(encoder),
        metrics=[("cls_cosine_whole", pa.float64()), *layered],
        batch_size=encoder.batch_size,
    )


def main(name: str) -> None:
    """Compare pictures as the encoder that params.yaml calls NAME sees them."""
    execute(node(read_study(), name))


if __name__ == "__main__":
    command(main)
