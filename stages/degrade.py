"""``degrade``: every picture of every corpus, degraded in every way the study lists.

Where a picture is degraded is its corpus' business (``region`` in its entry): one mask serves all degradations.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from models.degradations import Degradation, NoRegion, Region, degradation, degrade, region, region_mask
from models.media.images import decode_mask, encode_png
from registry.store.dag import STAGES
from registry.store.keys import digest, item_seed
from stages.engine.loop import command, execute
from stages.engine.node import Node
from stages.engine.pictures import Picture, fetch, picture_of
from stages.engine.shards import DISK, Outputs, image
from stages.engine.sheets import Line, contact_sheet
from stages.engine.study import Study, read_study
from stages.engine.tasks import Outcome, Task

PREPARED = STAGES["prepare"].folder()
READ = ("sample", "key", "status", "image_digest", "width", "height", "annotations")


class Original(NamedTuple):
    """Inputs of a degradation: the picture, the mask, and how it is degraded."""

    picture: Picture
    mask: bytes | NoRegion
    """As PNG, or why there is none."""
    degradation: Degradation


def degradations_of(study: Study, corpus: str) -> dict[str, tuple[Degradation, Region]]:
    """Degradations of a corpus and the regions they act on, by the degradation's name.

    Where: as the corpus' entry says, else in the centre. A degradation that names a ``fraction`` takes so much of the
    picture in place of what the corpus says.
    """
    where = study.entry("corpora", corpus).get("region", {"kind": "centre"})
    if not isinstance(where, Mapping):
        raise ValueError(f"The region of corpus {corpus} is {where!r}; say how it is chosen, as in {{kind: centre}}.")
    found = {}
    for name, entry in study.variants("degradations").items():
        how = dict(entry)
        size = {"fraction": how.pop("fraction")} if "fraction" in how else {}
        found[name] = degradation(how), region({**where, **size})
    return found


def mask_of(row: Mapping[str, Any], where: Region) -> np.ndarray | NoRegion:
    """The mask of a prepared row, or why there is none. What chance there is hangs on the sample's id alone."""
    seed = item_seed(digest(row["sample"].encode()))
    try:
        return region_mask((row["height"], row["width"]), json.loads(row["annotations"]), where, seed)
    except NoRegion as error:
        return error


def plan(study: Study, outputs: Outputs) -> Iterator[tuple[str, list[Task]]]:
    """Every original under every degradation, shard by shard."""
    for corpus in study.entries("corpora"):
        degradations = degradations_of(study, corpus)
        for path in outputs.shards(PREPARED / corpus):
            tasks = []
            for row in outputs.read(path, READ):
                if row["status"] != "ok":
                    continue
                picture = picture_of(row, path)
                for name, (how, where) in degradations.items():
                    mask = mask_of(row, where)
                    png = mask if isinstance(mask, NoRegion) else encode_png(mask)
                    parts = {
                        "picture": picture.digest,
                        "mask": None if isinstance(png, NoRegion) else digest(png),
                        "region": where.identity(),
                        "degradation": how.identity(),
                    }
                    held = None if isinstance(png, NoRegion) else image(png, f"{corpus}/{row['sample']}.mask.png")
                    columns = {"degradation": name, "mask": held, "mask_digest": parts["mask"]}
                    tasks.append(
                        Task(corpus, row["sample"], columns, parts, (row["key"],), Original(picture, png, how))
                    )
            yield str(path.relative_to(PREPARED)), tasks


class Degrader:
    """Degrades pictures. A mask goes with its picture into the registry, as base64 of its PNG."""

    def load(self) -> str:
        return "cpu"

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
        return [degraded(task.inputs) for task in tasks]


def degraded(original: Original) -> Outcome:
    """One degraded picture with its mask; raises ``NoRegion`` where it has none."""
    if isinstance(original.mask, NoRegion):
        raise original.mask
    picture = degrade(original.picture.pixels(), decode_mask(original.mask), original.degradation)
    return Outcome({"mask": base64.b64encode(original.mask).decode()}, encode_png(picture))


def sheet(examples: Sequence[tuple[Task, Mapping[str, Any]]]) -> bytes:
    """Draw the contact sheet of a corpus under one degradation."""
    lines: list[Line] = []
    for task, row in examples:
        pictures = [fetch(task.inputs.picture), task.inputs.mask, fetch(Picture(row["image_digest"]))]
        lines.append((task.sample, pictures, []))
    return contact_sheet(["original", "mask", "degraded"], lines)


def node(study: Study, entry: str = "", outputs: Outputs = DISK) -> Node:
    """The stage that degrades every prepared picture of a study."""
    prepared = [path for corpus in study.entries("corpora") for path in outputs.shards(PREPARED / corpus)]
    return Node(
        stage=STAGES["degrade"],
        settings=study.entries("degradations"),
        study=study.study,
        total=outputs.count(prepared) * len(study.variants("degradations")),
        plan=plan(study, outputs),
        worker=Degrader(),
        sheet=sheet,
    )


def main() -> None:
    """Degrade every prepared picture."""
    execute(node(read_study()))


if __name__ == "__main__":
    command(main)
