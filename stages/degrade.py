"""``degrade``: every picture of every corpus, degraded in every way the study lists.

Where a picture is degraded is its corpus' business (``region`` in its entry): one mask serves all degradations.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from models.degradations import Degradation, NoRegion, Region, degradation, degrade, region, region_mask
from models.media.images import decode_png, encode_png
from registry.store.keys import digest, item_seed
from stages.engine.loop import Node, Outcome, Task, command, execute
from stages.engine.shards import IMAGE, count_rows, image, read_shard, shards
from stages.engine.sheets import contact_sheet
from stages.engine.study import Study, read_study

PREPARED, OUT = Path("data/prepare"), Path("data/degrade")
FIELDS = [("degradation", pa.string()), ("image", IMAGE), ("mask", IMAGE)]


class Inputs(NamedTuple):
    original: bytes
    mask: np.ndarray | NoRegion
    degradation: Degradation


def ways_of(study: Study, corpus: str) -> dict[str, tuple[Degradation, Region]]:
    """How and where the pictures of a corpus are degraded, by the degradation's name.

    Where: as the corpus' entry says, else in the centre. A degradation that names a ``fraction`` takes so much of the
    picture in place of what the corpus says.
    """
    where = study.entry("corpora", corpus).get("region", {"kind": "centre"})
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


def plan(study: Study) -> Iterator[tuple[str, list[Task]]]:
    for corpus in study.corpora:
        ways = ways_of(study, corpus)
        for path in shards(PREPARED / corpus):
            tasks = []
            for row in read_shard(path):
                if row["status"] != "ok":
                    continue
                original = row["image"]["bytes"]
                for name, (how, where) in ways.items():
                    mask = mask_of(row, where)
                    png = None if isinstance(mask, NoRegion) else encode_png(mask)
                    columns = {"degradation": name, "mask": image(png, f"{corpus}/{row['sample']}.mask.png")}
                    parts = {
                        "picture": digest(original),
                        "mask": png and digest(png),
                        "region": where.identity(),
                        "degradation": how.identity(),
                    }
                    inputs = Inputs(original, mask, how)
                    tasks.append(Task(corpus, row["sample"], columns, parts, (row["key"],), inputs))
            yield str(path.relative_to(PREPARED)), tasks


def degraded(task: Task) -> Outcome:
    """A degraded picture; its mask goes with it into the registry, as base64 of its PNG."""
    original, mask, degradation = task.inputs
    if isinstance(mask, NoRegion):
        raise mask
    picture = degrade(decode_png(original), mask, degradation)
    return Outcome({"mask": base64.b64encode(encode_png(mask)).decode()}, encode_png(picture))


def sheet(examples: Sequence[tuple[Task, Mapping[str, Any]]]) -> bytes:
    lines = [(t.sample, [t.inputs.original, row["mask"]["bytes"], row["image"]["bytes"]], []) for t, row in examples]
    return contact_sheet(["original", "mask", "degraded"], lines)


def node(study: Study) -> Node:
    """The stage that degrades every prepared picture of a study."""
    prepared = [path for corpus in study.corpora for path in shards(PREPARED / corpus)]
    return Node(
        name="degrade",
        kind="degraded",
        out=OUT,
        fields=FIELDS,
        axes=("degradation",),
        settings=study.degradations,
        study=study.study,
        total=count_rows(prepared) * len(study.variants("degradations")),
        plan=plan(study),
        compute=lambda tasks, seeds: [degraded(task) for task in tasks],
        sheet=sheet,
    )


def main() -> None:
    """Degrade every prepared picture."""
    execute(node(read_study()))


if __name__ == "__main__":
    command(main)
