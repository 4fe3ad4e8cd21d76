"""``caption@captioner``: what one captioner says of every original and every repainted picture.

Where the references single out one object (``target`` of the annotations, as for referring expressions), its box is
drawn in red on what is captioned: paper *inpainting*, appendix D. Every captioner sees the box, also one that takes no
prompt: the paper tells models apart by their prompts, not by their pictures. The key of such an item holds the box,
which with the picture says what was seen.

A captioner that is told what is known of a picture (``edited-truth``) is given its annotations in place of a prompt.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from models.adapters.ahead import prepared
from models.adapters.settings import Settings
from models.captioners.edited import Informed
from models.captioners.prompted import Instructed
from models.media.images import FRAME_VERSION, draw_box, encode_png
from registry.store.dag import STAGES
from stages.engine.entries import Adapted, Variants
from stages.engine.loop import command, execute
from stages.engine.node import Gathered, Node
from stages.engine.pictures import Picture, fetch, picture_of
from stages.engine.shards import DISK, Outputs, storable
from stages.engine.sheets import contact_sheet
from stages.engine.study import Study, read_study
from stages.engine.tasks import Outcome, Task

STAGE = STAGES["caption"]
PREPARED, DEGRADED, REPAINTED = (STAGES[name].folder() for name in STAGE.inputs)
ORIGINALS = ("corpus", "sample", "key", "status", "image_digest", "references", "annotations")
READ = ("corpus", "sample", "key", "status", "degradation", "inpainter", "image_digest")


class View(NamedTuple):
    """A picture as a captioner sees it, beside what it was before."""

    picture: Picture
    original: Picture
    degraded: Picture | None
    reference: str
    box: list[float] | None

    def seen(self) -> np.ndarray:
        """The picture (H, W, 3) uint8, with its box drawn in it."""
        picture = self.picture.pixels()
        return picture if self.box is None else draw_box(picture, self.box)


def target_box(annotations: str) -> list[float] | None:
    """The box [x, y, width, height] of the object that the references are about; None where they are about all.

    >>> target_box('{"objects": [{"box": [0, 0, 4, 4]}, {"box": [5, 1, 2, 2]}], "target": 1}')
    [5, 1, 2, 2]
    """
    known = json.loads(annotations)
    return known["objects"][known["target"]]["box"] if known.get("target") is not None else None


def caption_prompt(settings: Settings, boxed: bool, known: str = "{}") -> str:
    """The prompt of a captioner, or the annotations that are ``known``; empty where it takes neither.

    >>> caption_prompt(Instructed(prompt="What is it?"), boxed=False)
    'What is it?'
    """
    if isinstance(settings, Informed):
        return known
    if not isinstance(settings, Instructed):
        return ""
    return settings.box_prompt if boxed else settings.prompt


def plan(
    model: Adapted, corpora: Iterable[str], inpainters: Iterable[str], outputs: Outputs
) -> Iterator[tuple[str, list[Task]]]:
    """The tasks of one captioner, shard by shard: each original, then each of its repainted pictures."""
    for path in (path for corpus in corpora for path in outputs.shards(PREPARED / corpus)):
        shard = path.relative_to(PREPARED)
        originals = {row["sample"]: row for row in outputs.read(path, ORIGINALS) if row["status"] == "ok"}
        boxes = {sample: target_box(row["annotations"]) for sample, row in originals.items()}
        degraded = {
            (row["sample"], row["degradation"]): picture_of(row, DEGRADED / shard)
            for row in outputs.read(DEGRADED / shard, ("sample", "degradation", "image_digest"))
        }
        seen = [(row, path) for row in originals.values()]
        for name in inpainters:
            repainted = REPAINTED / name / shard
            seen += [(row, repainted) for row in outputs.read(repainted, READ) if row["status"] == "ok"]
        tasks = []
        for row, held in seen:
            original = originals[row["sample"]]
            inputs = View(
                picture_of(row, held),
                picture_of(original, path),
                degraded.get((row["sample"], row.get("degradation"))),
                next(iter(original["references"]), ""),
                boxes[row["sample"]],
            )
            known = original["annotations"]
            prompt = caption_prompt(model.adapter.settings, inputs.box is not None, known)
            parts = {"picture": inputs.picture.digest, "prompt": prompt, "model": model.identity}
            if inputs.box is not None:
                parts["box"] = {"frame": FRAME_VERSION, "at": inputs.box}
            columns = {axis: row.get(axis) for axis in STAGE.axes} | {"captioner": model.name}
            tasks.append(Task(row["corpus"], row["sample"], columns, parts, (row["key"],), inputs))
        yield str(shard), tasks


class Describer:
    """Captions pictures with the variants of one entry."""

    def __init__(self, models: Variants) -> None:
        self.models, self.served, self.batched = models, models.served, models.batched

    @property
    def prepares(self) -> bool:
        return self.models.prepares

    def load(self) -> str:
        return self.models.load()

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
        return caption(self.models.ready(tasks[0].columns["captioner"]), tasks, seeds)


def caption(model: Adapted, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
    """The candidates of one batch, as the captioner orders them, without characters that no database takes."""
    pictures = prepared(View.seen, [task.inputs for task in tasks])
    candidates = model.adapter.caption(pictures, [task.parts["prompt"] for task in tasks], seeds)
    kept = [[storable(text) for text in texts] for texts in candidates]
    return [Outcome({"caption": texts[0], "candidates": texts}) for texts in kept]


def sheet(examples: Sequence[tuple[Task, Mapping[str, Any]]]) -> bytes:
    """Draw the contact sheet of one cell: pictures before and after, caption and reference."""
    lines = []
    for task, row in examples:
        before = [fetch(picture) for picture in (task.inputs.original, task.inputs.degraded) if picture]
        texts = [f"caption: {row['caption']}", f"reference: {task.inputs.reference}"]
        lines.append((task.sample, [*before, encode_png(task.inputs.seen())], texts))
    repainted = examples[0][0].inputs.degraded is not None
    return contact_sheet(["original", *(("degraded", "repainted") if repainted else ("captioned",)), "caption"], lines)


def node(study: Study, name: str, outputs: Outputs = DISK) -> Node:
    """The stage of the captioner that a study calls NAME."""
    entry = study.entry("captioners", name)
    models = Variants(name, entry, "captioners", study.models)
    corpora, inpainters = list(study.entries("corpora")), list(study.variants("inpainters"))
    folders = [PREPARED, *(REPAINTED / inpainter for inpainter in inpainters)]
    shards = (path for folder in folders for corpus in corpora for path in outputs.shards(folder / corpus))
    return Node(
        stage=STAGE,
        entry=name,
        settings=entry,
        study=study.study,
        total=len(models.names) * outputs.count(shards),
        plan=models.plan(lambda model: plan(model, corpora, inpainters, outputs)),
        worker=Gathered(Describer(models), models.batch_size, "captioner") if models.batched else Describer(models),
        batch_size=models.batch_size,
        sheet=sheet,
    )


def main(name: str) -> None:
    """Caption with the captioner that params.yaml calls NAME."""
    execute(node(read_study(), name))


if __name__ == "__main__":
    command(main)
