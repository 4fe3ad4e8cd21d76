"""Repainted pictures beside their originals and masks: what measures of pictures compare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from registry.store.dag import GRID, STAGES
from stages.engine.entries import Adapted
from stages.engine.pictures import Picture, picture_of
from stages.engine.shards import Outputs
from stages.engine.tasks import Task

PREPARED, DEGRADED, REPAINTED = (STAGES[name].folder() for name in ("prepare", "degrade", "inpaint"))
READ = ("corpus", "sample", "key", "status", *GRID, "image_digest")


class Pair(NamedTuple):
    """A repainted picture beside its original; the mask says where it was repainted."""

    original: Picture
    repainted: Picture
    mask: Picture


def pairs(measure: Adapted, inpainters: Iterable[str], outputs: Outputs) -> Iterator[tuple[str, list[Task]]]:
    """Every repainted picture of the measure's corpora, shard by shard.

    Those of one original stand side by side, so that a batch looks at few originals.
    """
    inpainters = list(inpainters)
    for path in measure.shards(outputs, DEGRADED):
        shard = path.relative_to(DEGRADED)
        originals = {
            row["sample"]: picture_of(row, PREPARED / shard)
            for row in outputs.read(PREPARED / shard, ("sample", "image_digest"))
        }
        masks = {
            (row["sample"], row["degradation"]): picture_of(row, path, "mask")
            for row in outputs.read(path, ("sample", "degradation", "mask_digest"))
        }
        tasks = []
        for repainted in (REPAINTED / name / shard for name in inpainters):
            for row in outputs.read(repainted, READ):
                if row["status"] != "ok":
                    continue
                pair = Pair(
                    originals[row["sample"]], picture_of(row, repainted), masks[row["sample"], row["degradation"]]
                )
                parts = {name: picture.digest for name, picture in pair._asdict().items()}
                parts |= {"measure": measure.identity}
                columns = {axis: row[axis] for axis in GRID}
                tasks.append(Task(row["corpus"], row["sample"], columns, parts, (row["key"],), pair))
        yield str(shard), sorted(tasks, key=lambda task: task.sample)
