"""``inpaint@inpainter``: every degraded picture, repainted by one model.

The raw result is pasted into the degraded picture, so that unmasked pixels stay equal byte for byte; how far the raw
result strayed there is kept as ``drift``: the mean absolute difference outside the mask, 0 to 1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from models.inpainters.prompts import prompt
from models.media.images import composite, encode_png
from registry.store.dag import STAGES
from stages.engine.entries import Adapted, Variants
from stages.engine.loop import command, execute
from stages.engine.node import Node
from stages.engine.pictures import Picture, fetch, picture_of
from stages.engine.shards import DISK, Outputs
from stages.engine.sheets import contact_sheet
from stages.engine.study import Study, read_study
from stages.engine.tasks import Outcome, Task

STAGE = STAGES["inpaint"]
PREPARED, DEGRADED = (STAGES[name].folder() for name in STAGE.inputs)
ORIGINALS = ("sample", "image_digest", "references", "annotations")
READ = ("corpus", "sample", "key", "status", "degradation", "image_digest", "mask_digest")


class Damaged(NamedTuple):
    """A degraded picture, with what an inpainter may know of it."""

    original: Picture
    degraded: Picture
    mask: Picture
    prompt: str


def plan(model: Adapted, outputs: Outputs) -> Iterator[tuple[str, list[Task]]]:
    """The tasks of one inpainter, shard by shard.

    A model that cannot see under the mask is keyed by the original picture: the degraded ones equal it outside the
    mask, so that one item serves all degradations of a region.
    """
    for path in outputs.shards(DEGRADED):
        shard = path.relative_to(DEGRADED)
        originals = {row["sample"]: row for row in outputs.read(PREPARED / shard, ORIGINALS)}
        tasks = []
        for row in outputs.read(path, READ):
            if row["status"] != "ok":
                continue
            original = originals[row["sample"]]
            words = ""
            if model.adapter.prompted:
                words = prompt(original["references"], json.loads(original["annotations"]))
            inputs = Damaged(
                picture_of(original, PREPARED / shard), picture_of(row, path), picture_of(row, path, "mask"), words
            )
            seen = inputs.degraded if model.adapter.sees_hole else inputs.original
            parts = {"picture": seen.digest, "mask": inputs.mask.digest, "prompt": words, "model": model.identity}
            columns = {"degradation": row["degradation"], "inpainter": model.name}
            tasks.append(Task(row["corpus"], row["sample"], columns, parts, (row["key"],), inputs))
        yield str(shard), tasks


class Repainter:
    """Repaints pictures with the variants of one entry."""

    def __init__(self, models: Variants) -> None:
        self.models = models

    def load(self) -> str:
        return self.models.load()

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
        return repaint(self.models.ready(tasks[0].columns["inpainter"]), tasks, seeds)


def repaint(model: Adapted, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
    """The composites of one batch, with their drift."""
    masks = [task.inputs.mask.mask() for task in tasks]
    pictures = [task.inputs.degraded.pixels() for task in tasks]
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
    """Draw the contact sheet of a corpus under one degradation and inpainter."""
    lines = []
    for task, row in examples:
        shown = (task.inputs.original, task.inputs.degraded, Picture(row["image_digest"]))
        lines.append((task.sample, [fetch(picture) for picture in shown], [task.inputs.prompt]))
    return contact_sheet(["original", "degraded", "repainted", "prompt"], lines)


def node(study: Study, name: str, outputs: Outputs = DISK) -> Node:
    """The stage of the inpainter that a study calls NAME."""
    entry = study.entry("inpainters", name)
    models = Variants(name, entry, "inpainters", study.models)
    return Node(
        stage=STAGE,
        entry=name,
        settings=entry,
        study=study.study,
        total=len(models.names) * outputs.count(outputs.shards(DEGRADED)),
        plan=models.plan(lambda model: plan(model, outputs)),
        worker=Repainter(models),
        batch_size=models.batch_size,
        sheet=sheet,
    )


def main(name: str) -> None:
    """Repaint with the inpainter that params.yaml calls NAME."""
    execute(node(read_study(), name))


if __name__ == "__main__":
    command(main)
