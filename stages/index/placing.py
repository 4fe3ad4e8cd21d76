"""Where items stand in the registry: samples of corpora, points on the axes, and what was measured there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from models.measures.declared import declared
from models.measures.regions import split_column
from registry.indexing import Index
from registry.store.dag import STAGES, Stage
from registry.store.items import FAILED
from registry.store.schema import PER_ITEM
from stages.engine.shards import DISK, WHOLE


def index_corpus(index: Index, name: str, entry: Mapping[str, Any]) -> None:
    folder = STAGES["prepare"].folder(name)
    columns = ("sample", "status", "split", "width", "height", "annotations", "references")
    rows = [row for row in DISK.rows(folder, columns) if row["status"] != FAILED]
    problems = Counter(json.loads(line)["kind"] for line in (folder / "problems.jsonl").read_text().splitlines())
    index.corpus(name, entry, problems, [row | {"annotations": json.loads(row["annotations"])} for row in rows])


def index_prompts(index: Index, name: str, entry: Mapping[str, Any]) -> None:
    """Store a corpus of prompts: samples whose pictures have no size, each with its text for a reference."""
    rows = DISK.rows(STAGES["prompt"].folder(name), ("sample", "prompt", "annotations"))
    without = {"split": "", "width": 0, "height": 0}
    samples = [
        {
            "sample": row["sample"],
            **without,
            "annotations": json.loads(row["annotations"]),
            "references": [row["prompt"]],
        }
        for row in rows
    ]
    index.corpus(name, entry, {}, samples)


def index_items(index: Index, stage: Stage, entry: str, shards: Mapping[Path, str], same: Collection[Path]) -> int:
    """Place the items of one output and take down what was measured; returns how many there are.

    Of ``shards`` (with the digests of their bytes) those that are the ``same`` as when they were indexed are not read.
    """
    count, folder, metrics = 0, stage.folder(entry), declared().keys()
    columns = ("corpus", "sample", "key", "parents", "value", *stage.axes)
    for path in DISK.shards(folder):
        points = [point for point in DISK.distinct(path, ("corpus", *stage.axes)) if point["corpus"] in index.corpora]
        if path in same and points and index.holds(str(path), shards[path], points):
            count += DISK.count([path])
            continue
        read = DISK.read(path, columns)
        rows = [row for row in read if (row["corpus"], row["sample"]) in index.samples]
        index.place(stage.kind_of(entry), rows)
        if stage.measures:
            index.measure(measurements(rows, metrics))
        if rows and len(rows) == len(read):
            index.hold(str(path), shards[path], points)
        count += len(rows)
    for path in sorted(folder.rglob(WHOLE)):
        rows = DISK.read(path)
        for row in rows:
            value = json.loads(row["value"])
            if "items" in value:  # else the whole failed
                index.summarise(row, measured(value, metrics), value["items"])
        index.hold(str(path), shards[path], rows)
    return count


def measured(value: Mapping[str, Any], metrics: Collection[str]) -> dict[str, Any]:
    """What of an item's value is of one of these metrics, by column; an embedding, or what a judge said, is not."""
    return {column: one for column, one in value.items() if split_column(column)[0] in metrics}


def measurements(
    rows: Iterable[Mapping[str, Any]], metrics: Collection[str]
) -> Iterator[tuple[str, str, str, int, float | None]]:
    """The measurements in rows of scores: key, metric, region, layer, value; of equal items once.

    A list has one value a layer.
    """
    for row in {row["key"]: row for row in rows}.values():
        for name, value in measured(json.loads(row["value"]), metrics).items():
            metric, region = split_column(name)
            if isinstance(value, list):
                yield from ((row["key"], metric, region, layer, one) for layer, one in enumerate(value))
            else:
                yield row["key"], metric, region, PER_ITEM, value
