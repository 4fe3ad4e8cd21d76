"""``represent@encoder``: how far a repainted picture has moved for a vision encoder: what it sees, and where it looks.

Each batch holds the repaintings of a few pictures, whose originals are encoded with them, once each; attention is
reduced to its drift at once, so memory does not grow with the number of pictures. An original has an item too, with its
embedding and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from models.measures.embeddings.cosine import cosine
from models.measures.embeddings.drift import LAYERED, VERSION, drift
from models.measures.regions import REGIONS, column
from models.media.images import decode_mask, decode_png
from registry.store.keys import digest
from stages.engine.entries import Adapted
from stages.engine.loop import Node, Outcome, Task, command, execute
from stages.engine.shards import count_rows, read_shard
from stages.engine.study import Study, read_study
from stages.fidelity import AXES, OUT, PREPARED, REPAINTED, plan

KEPT = {"embedding": pa.list_(pa.float32()), "tvd_heads": pa.list_(pa.list_(pa.list_(pa.float32())))}
"""What stays in the shards and the item store: the picture's CLS embedding, and the drift of every head as
[region][layer][head]. All else is a measurement, a list having one value a layer."""


def looked_at(encoder: Adapted, study: Study) -> Iterator[tuple[str, list[Task]]]:
    """Every original, and the tasks of the fidelity stage with what the drift's numbers depend on beside the encoder.

    An original has no axes, and its picture instead of inputs.
    """
    for shard, repainted in plan(encoder, study):
        tasks = [replace(task, parts={**task.parts, "drift": VERSION}) for task in repainted]
        for row in (row for row in read_shard(PREPARED / shard) if row["status"] == "ok"):
            data = row["image"]["bytes"]
            parts = {"original": digest(data), "measure": encoder.identity}
            tasks.append(Task(row["corpus"], row["sample"], dict.fromkeys(AXES), parts, (row["key"],), data))
        yield shard, sorted(tasks, key=lambda task: task.sample)


def pictures(task: Task) -> tuple[bytes, ...]:
    """The original, and what it became if the task is about that."""
    return (task.inputs,) if isinstance(task.inputs, bytes) else (task.inputs.original, task.inputs.repainted)


def compare(encoder: Any, tasks: Sequence[Task]) -> list[Outcome]:
    """The embeddings and the drift of one batch; equal pictures are encoded once."""
    different = list(dict.fromkeys(data for task in tasks for data in pictures(task)))
    seen = dict(zip(different, encoder.encode([decode_png(data) for data in different]), strict=True))
    outcomes = []
    for task in tasks:
        (cls, looks), *repainted = (seen[data] for data in pictures(task))
        if not repainted:
            outcomes.append(Outcome({"embedding": told(cls)}))
            continue
        [(new_cls, new_looks)] = repainted
        [coverage] = encoder.coverage([decode_mask(task.inputs.mask)])
        moved = drift(looks, new_looks, coverage)
        values = {column(metric, region): told(moved[metric][region]) for metric in LAYERED for region in REGIONS}
        heads = [told(moved["tvd_heads"][region]) for region in REGIONS]
        kept = {"embedding": told(new_cls), "tvd_heads": heads}
        outcomes.append(Outcome({"cls_cosine_whole": cosine(cls, new_cls)} | values | kept))
    return outcomes


def told(values: np.ndarray) -> list[Any]:
    """Numbers to six digits, which is more than float32 kernels agree on; None where there is none."""
    if values.ndim > 1:
        return [told(one) for one in values]
    return [None if np.isnan(value) else float(f"{value:.6g}") for value in values]


def node(study: Study, name: str) -> Node:
    """The stage of the encoder that a study calls NAME."""
    entry = study.entry("encoders", name)
    encoder = Adapted(name, entry, "encoders")
    layered = [(column(metric, region), pa.list_(pa.float64())) for metric in LAYERED for region in REGIONS]
    return Node(
        name=f"represent@{name}",
        kind=f"represent.{name}",
        out=OUT.with_name("represent") / name,
        fields=[
            *((axis, pa.string()) for axis in AXES),
            ("cls_cosine_whole", pa.float64()),
            *layered,
            *KEPT.items(),
        ],
        axes=AXES,
        settings=entry,
        study=study.study,
        total=count_rows(
            shard
            for folder in (PREPARED, *(REPAINTED / name for name in study.variants("inpainters")))
            for shard in encoder.shards(folder)
        ),
        plan=looked_at(encoder, study),
        compute=lambda tasks, seeds: compare(encoder.adapter, tasks),
        load=encoder.load,
        batch_size=encoder.batch_size,
    )


def main(name: str) -> None:
    """Compare pictures as the encoder that params.yaml calls NAME sees them."""
    execute(node(read_study(), name))


if __name__ == "__main__":
    command(main)
