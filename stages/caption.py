"""``caption@captioner``: what one captioner says of every original and every repainted picture.

Where the references single out one object (``target`` of the annotations, as for referring expressions), its box is
drawn in red on what is captioned: paper *inpainting*, appendix D. Every captioner sees the box, also one that takes no
prompt: the paper tells models apart by their prompts, not by their pictures. The key of such an item holds the box,
which with the picture says what was seen.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from models.adapters.settings import Settings
from models.captioners.prompted import Instructed
from models.media.images import FRAME_VERSION, decode_png, draw_box, encode_png
from registry.store.axes import AXES
from registry.store.keys import digest
from stages.engine.entries import Adapted, Variants
from stages.engine.loop import Node, Outcome, Task, command, execute
from stages.engine.shards import TEXTS, count_rows, read_shard, shards, storable
from stages.engine.sheets import contact_sheet
from stages.engine.study import Study, read_study

PREPARED, DEGRADED, REPAINTED, OUT = (Path("data") / name for name in ("prepare", "degrade", "inpaint", "caption"))
FIELDS = [*((axis, pa.string()) for axis in AXES), ("caption", pa.string()), ("candidates", TEXTS)]


class Inputs(NamedTuple):
    picture: bytes
    original: bytes
    degraded: bytes | None
    reference: str
    box: list[float] | None

    def seen(self) -> np.ndarray:
        """What the captioner sees."""
        picture = decode_png(self.picture)
        return picture if self.box is None else draw_box(picture, self.box)


def target_box(annotations: str) -> list[float] | None:
    """The box [x, y, width, height] of the object that the references are about; None where they are about all.

    >>> target_box('{"objects": [{"box": [0, 0, 4, 4]}, {"box": [5, 1, 2, 2]}], "target": 1}')
    [5, 1, 2, 2]
    """
    known = json.loads(annotations)
    return known["objects"][known["target"]]["box"] if known.get("target") is not None else None


def caption_prompt(settings: Settings, boxed: bool) -> str:
    """What a captioner is told; nothing where it takes no instructions.

    >>> caption_prompt(Instructed(prompt="What is it?"), boxed=False)
    'What is it?'
    """
    if not isinstance(settings, Instructed):
        return ""
    return settings.box_prompt if boxed else settings.prompt


def plan(model: Adapted, study: Study) -> Iterator[tuple[str, list[Task]]]:
    """The tasks of one captioner, shard by shard: each original, then each of its repainted pictures."""
    for path in shards(PREPARED):
        shard = path.relative_to(PREPARED)
        originals = {row["sample"]: row for row in read_shard(path) if row["status"] == "ok"}
        boxes = {sample: target_box(row["annotations"]) for sample, row in originals.items()}
        degraded = {(row["sample"], row["degradation"]): row["image"] for row in read_shard(DEGRADED / shard)}
        repainted = [row for name in study.variants("inpainters") for row in read_shard(REPAINTED / name / shard)]
        tasks = []
        for row in (*originals.values(), *(row for row in repainted if row["status"] == "ok")):
            original = originals[row["sample"]]
            before = degraded.get((row["sample"], row.get("degradation")))
            inputs = Inputs(
                row["image"]["bytes"],
                original["image"]["bytes"],
                before and before["bytes"],
                next(iter(original["references"]), ""),
                boxes[row["sample"]],
            )
            prompt = caption_prompt(model.adapter.settings, boxed=inputs.box is not None)
            parts = {"picture": digest(inputs.picture), "prompt": prompt, "model": model.identity}
            if inputs.box is not None:
                parts["box"] = {"frame": FRAME_VERSION, "at": inputs.box}
            columns = {axis: row.get(axis) for axis in AXES} | {"captioner": model.name}
            tasks.append(Task(row["corpus"], row["sample"], columns, parts, (row["key"],), inputs))
        yield str(shard), tasks


def caption(model: Adapted, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
    """The candidates of one batch, as the captioner orders them, without characters that no database takes."""
    pictures = [task.inputs.seen() for task in tasks]
    candidates = model.adapter.caption(pictures, [task.parts["prompt"] for task in tasks], seeds)
    kept = [[storable(text) for text in texts] for texts in candidates]
    return [Outcome({"caption": texts[0], "candidates": texts}) for texts in kept]


def sheet(examples: Sequence[tuple[Task, Mapping[str, Any]]]) -> bytes:
    lines = []
    for task, row in examples:
        shown = [task.inputs.original, task.inputs.degraded, encode_png(task.inputs.seen())]
        texts = [f"caption: {row['caption']}", f"reference: {task.inputs.reference}"]
        lines.append((task.sample, [picture for picture in shown if picture], texts))
    repainted = examples[0][0].inputs.degraded is not None
    return contact_sheet(["original", *(("degraded", "repainted") if repainted else ("captioned",)), "caption"], lines)


def node(study: Study, name: str) -> Node:
    """The stage of the captioner that a study calls NAME."""
    entry = study.entry("captioners", name)
    models = Variants(name, entry, "captioners")
    repainted = [path for variant in study.variants("inpainters") for path in shards(REPAINTED / variant)]
    return Node(
        name=f"caption@{name}",
        kind="caption",
        out=OUT / name,
        fields=FIELDS,
        axes=AXES,
        settings=entry,
        study=study.study,
        total=len(models.names) * count_rows([*shards(PREPARED), *repainted]),
        plan=models.plan(lambda model: plan(model, study)),
        compute=lambda tasks, seeds: caption(models.ready(tasks[0].columns["captioner"]), tasks, seeds),
        load=models.load,
        batch_size=models.batch_size,
        sheet=sheet,
    )


def main(name: str) -> None:
    """Caption with the captioner that params.yaml calls NAME."""
    execute(node(read_study(), name))


if __name__ == "__main__":
    command(main)
