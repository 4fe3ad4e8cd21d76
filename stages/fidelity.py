"""``fidelity@measure``: how far each repainted picture is from its original, inside the mask, outside, and whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from models.measures.regions import columns, flat
from models.media.images import decode_mask, decode_png
from registry.store.keys import digest
from stages.engine.entries import Adapted
from stages.engine.loop import Node, Outcome, Task, command, execute
from stages.engine.shards import count_rows, read_shard
from stages.engine.study import Study, read_study

PREPARED, DEGRADED, REPAINTED, OUT = (Path("data") / name for name in ("prepare", "degrade", "inpaint", "fidelity"))
AXES = ("degradation", "inpainter")


class Inputs(NamedTuple):
    original: bytes
    repainted: bytes
    mask: bytes


def plan(measure: Adapted, study: Study) -> Iterator[tuple[str, list[Task]]]:
    """Every repainted picture of the measure's corpora beside its original and its mask, shard by shard.

    Those of one original stand side by side, so that a batch looks at few originals.
    """
    for path in measure.shards(DEGRADED):
        shard = path.relative_to(DEGRADED)
        originals = {row["sample"]: row["image"] for row in read_shard(PREPARED / shard)}
        masks = {(row["sample"], row["degradation"]): row["mask"] for row in read_shard(path)}
        tasks = []
        for row in (row for name in study.variants("inpainters") for row in read_shard(REPAINTED / name / shard)):
            if row["status"] != "ok":
                continue
            mask = masks[row["sample"], row["degradation"]]["bytes"]
            inputs = Inputs(originals[row["sample"]]["bytes"], row["image"]["bytes"], mask)
            parts = {name: digest(data) for name, data in inputs._asdict().items()} | {"measure": measure.identity}
            columns = {axis: row[axis] for axis in AXES}
            tasks.append(Task(row["corpus"], row["sample"], columns, parts, (row["key"],), inputs))
        yield str(shard), sorted(tasks, key=lambda task: task.sample)


def compare(measure: Adapted, tasks: Sequence[Task]) -> list[Outcome]:
    """The values of one batch, one column a metric and region."""
    results = measure.adapter.measure(
        [decode_png(task.inputs.original) for task in tasks],
        [decode_png(task.inputs.repainted) for task in tasks],
        [decode_mask(task.inputs.mask) for task in tasks],
    )
    return [Outcome(flat(result)) for result in results]


def node(study: Study, name: str) -> Node:
    """The stage of the measure that a study calls NAME."""
    entry = study.entry("fidelity", name)
    measure = Adapted(name, entry, "fidelity")
    metrics = [(name, pa.float64()) for name in columns(measure.adapter.metrics)]
    return Node(
        name=f"fidelity@{name}",
        kind=f"fidelity.{name}",
        out=OUT / name,
        fields=[*((axis, pa.string()) for axis in AXES), *metrics],
        axes=AXES,
        settings=entry,
        study=study.study,
        total=count_rows(s for n in study.variants("inpainters") for s in measure.shards(REPAINTED / n)),
        plan=plan(measure, study),
        compute=lambda tasks, seeds: compare(measure, tasks),
        load=measure.load,
        batch_size=measure.batch_size,
    )


def main(name: str) -> None:
    """Compare with the measure that params.yaml calls NAME."""
    execute(node(read_study(), name))


if __name__ == "__main__":
    command(main)
