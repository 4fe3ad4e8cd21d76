"""``caption@captioner``: what one captioner says of every original and every repainted picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from models.images import decode_png
from registry.indexing import AXES
from registry.keys import digest
from stages.adapted import Adapted
from stages.loop import Node, Outcome, Task, command, execute
from stages.shards import TEXTS, count_rows, read_shard, shards
from stages.sheets import contact_sheet
from stages.study import Study, read_study

PREPARED, DEGRADED, REPAINTED, OUT = (Path("data") / name for name in ("prepare", "degrade", "inpaint", "caption"))
FIELDS = [*((axis, pa.string()) for axis in AXES), ("caption", pa.string()), ("candidates", TEXTS)]


class Inputs(NamedTuple):
    picture: bytes
    original: bytes
    degraded: bytes | None
    reference: str


def plan(model: Adapted, study: Study) -> Iterator[tuple[str, list[Task]]]:
    """The tasks of one captioner, shard by shard: each original, then each of its repainted pictures."""
    for path in shards(PREPARED):
        shard = path.relative_to(PREPARED)
        originals = {row["sample"]: row for row in read_shard(path) if row["status"] == "ok"}
        degraded = {(row["sample"], row["degradation"]): row["image"] for row in read_shard(DEGRADED / shard)}
        repainted = [row for name in study.inpainters for row in read_shard(REPAINTED / name / shard)]
        tasks = []
        for row in (*originals.values(), *(row for row in repainted if row["status"] == "ok")):
            original = originals[row["sample"]]
            before = degraded.get((row["sample"], row.get("degradation")))
            inputs = Inputs(
                row["image"]["bytes"],
                original["image"]["bytes"],
                before and before["bytes"],
                next(iter(original["references"]), ""),
            )
            parts = {"picture": digest(inputs.picture), "prompt": "", "model": model.identity}
            columns = {axis: row.get(axis) for axis in AXES} | {"captioner": model.name}
            tasks.append(Task(row["corpus"], row["sample"], columns, parts, (row["key"],), inputs))
        yield str(shard), tasks


def caption(model: Adapted, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
    """The candidates of one batch, the best first."""
    pictures = [decode_png(task.inputs.picture) for task in tasks]
    candidates = model.adapter.caption(pictures, [task.parts["prompt"] for task in tasks], seeds)
    return [Outcome({"caption": texts[0], "candidates": texts}) for texts in candidates]


def sheet(examples: Sequence[tuple[Task, Mapping[str, Any]]]) -> bytes:
    lines = []
    for task, row in examples:
        shown = [task.inputs.original, task.inputs.degraded, task.inputs.picture]
        texts = [f"caption: {row['caption']}", f"reference: {task.inputs.reference}"]
        lines.append((task.sample, [picture for picture in shown if picture], texts))
    repainted = examples[0][0].inputs.degraded is not None
    return contact_sheet(["original", *(("degraded", "repainted") if repainted else ("captioned",)), "caption"], lines)


def main(name: str) -> None:
    """Caption with the captioner that params.yaml calls NAME."""
    study = read_study()
    entry = study.entry("captioners", name)
    model = Adapted(name, entry, "captioners")
    execute(
        Node(
            name=f"caption@{name}",
            kind="caption",
            out=OUT / name,
            fields=FIELDS,
            axes=AXES,
            settings=entry,
            study=study.study,
            total=count_rows(shards(PREPARED)) + count_rows(s for n in study.inpainters for s in shards(REPAINTED / n)),
            plan=plan(model, study),
            compute=lambda tasks, seeds: caption(model, tasks, seeds),
            load=model.load,
            batch_size=model.batch_size,
            sheet=sheet,
        )
    )


if __name__ == "__main__":
    command(main)
