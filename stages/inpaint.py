"""``inpaint@inpainter``: every degraded picture, repainted by one model.

The raw result is pasted into the degraded picture, so that unmasked pixels stay equal byte for byte; how far the raw
result strayed there is kept as ``drift``: the mean absolute difference outside the mask, 0 to 1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from models.inpainters.prompts import prompt
from models.media.images import composite, decode_mask, decode_png, encode_png
from registry.store.keys import digest
from stages.engine.entries import Adapted, Variants
from stages.engine.loop import Node, Outcome, Task, command, execute
from stages.engine.shards import IMAGE, count_rows, read_shard, shards
from stages.engine.sheets import contact_sheet
from stages.engine.study import Study, read_study

PREPARED, DEGRADED, OUT = Path("data/prepare"), Path("data/degrade"), Path("data/inpaint")
FIELDS = [("degradation", pa.string()), ("inpainter", pa.string()), ("image", IMAGE), ("drift", pa.float64())]


class Inputs(NamedTuple):
    original: bytes
    degraded: bytes
    mask: bytes
    prompt: str


def plan(model: Adapted) -> Iterator[tuple[str, list[Task]]]:
    """The tasks of one inpainter, shard by shard.

    A model that cannot see under the mask is keyed by the original picture: the degraded ones equal it outside the
    mask, so that one item serves all degradations of a region.
    """
    for path in shards(DEGRADED):
        shard = path.relative_to(DEGRADED)
        originals = {row["sample"]: row for row in read_shard(PREPARED / shard)}
        tasks = []
        for row in read_shard(path):
            if row["status"] != "ok":
                continue
            original = originals[row["sample"]]
            told = ""
            if model.adapter.prompted:
                told = prompt(original["references"], json.loads(original["annotations"]))
            inputs = Inputs(original["image"]["bytes"], row["image"]["bytes"], row["mask"]["bytes"], told)
            seen = inputs.degraded if model.adapter.sees_hole else inputs.original
            parts = {"picture": digest(seen), "mask": digest(inputs.mask), "prompt": told, "model": model.identity}
            columns = {"degradation": row["degradation"], "inpainter": model.name}
            tasks.append(Task(row["corpus"], row["sample"], columns, parts, (row["key"],), inputs))
        yield str(shard), tasks


def repaint(model: Adapted, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
    """The composites of one batch, with their drift."""
    masks = [decode_mask(task.inputs.mask) for task in tasks]
    pictures = [decode_png(task.inputs.degraded) for task in tasks]
    if not model.adapter.sees_hole:
        pictures = [np.where(mask[..., None], 0, p).astype(np.uint8) for p, mask in zip(pictures, masks, strict=True)]
    raw = model.adapter.inpaint(pictures, masks, [task.inputs.prompt for task in tasks], seeds)
    return [
        Outcome({"drift": drift(picture, painted, mask)}, encode_png(composite(picture, painted, mask)))
        for picture, painted, mask in zip(pictures, raw, masks, strict=True)
    ]


def drift(picture: np.ndarray, painted: np.ndarray, mask: np.ndarray) -> float | None:
    """Mean absolute difference outside the mask, 0 to 1; None where everything is masked.

    >>> drift(np.zeros((1, 2, 3)), np.full((1, 2, 3), 51), np.array([[True, False]]))
    0.2
    """
    if mask.all():
        return None
    return float(np.abs(painted[~mask].astype(float) - picture[~mask]).mean() / 255)


def sheet(examples: Sequence[tuple[Task, Mapping[str, Any]]]) -> bytes:
    lines = [
        (task.sample, [task.inputs.original, task.inputs.degraded, row["image"]["bytes"]], [task.inputs.prompt])
        for task, row in examples
    ]
    return contact_sheet(["original", "degraded", "repainted", "prompt"], lines)


def node(study: Study, name: str) -> Node:
    """The stage of the inpainter that a study calls NAME."""
    entry = study.entry("inpainters", name)
    models = Variants(name, entry, "inpainters")
    return Node(
        name=f"inpaint@{name}",
        kind="repainted",
        out=OUT / name,
        fields=FIELDS,
        axes=("degradation", "inpainter"),
        settings=entry,
        study=study.study,
        total=len(models.names) * count_rows(shards(DEGRADED)),
        plan=models.plan(plan),
        compute=lambda tasks, seeds: repaint(models.ready(tasks[0].columns["inpainter"]), tasks, seeds),
        load=models.load,
        batch_size=models.batch_size,
        sheet=sheet,
    )


def main(name: str) -> None:
    """Repaint with the inpainter that params.yaml calls NAME."""
    execute(node(read_study(), name))


if __name__ == "__main__":
    command(main)
