"""``index``: bring the registry to what the stage outputs hold, and log each finished cell to MLflow.

The same function is ``palimpsest registry sync``: a lost or empty registry is rebuilt from outputs and provenance,
item for item.
"""

from __future__ import annotations

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select, update

from models.measures.declared import declared
from models.measures.regions import columns as columns_of
from models.measures.regions import split_column
from registry.cells import Example, Where, cell_means, examples
from registry.indexing import Index
from registry.lineage.locks import lock
from registry.lineage.outputs import differing
from registry.published import publish
from registry.store import places, schema
from registry.store.axes import NONE
from registry.store.dag import DATA, GRID, STAGES, Stage
from registry.store.database import connect
from registry.store.items import FAILED, Finding, ItemStore, Known, value_digest
from registry.store.keys import canonical, digest
from registry.store.objects import ObjectStore
from registry.store.schema import PER_ITEM
from registry.tracking.asking import comparison_links, stages_of
from registry.tracking.landing import share_view
from registry.tracking.runs import SHEET, CellLog, Tracker
from stages.engine.entries import ROLES, Adapted
from stages.engine.loop import EXAMPLES_A_CELL, command
from stages.engine.provenance import read_provenance
from stages.engine.shards import DISK, WHOLE, digest_of, files_of
from stages.engine.sheets import Line, contact_sheet
from stages.engine.study import Study, read_study
from stages.engine.trainings import variants as trainings_of
from stages.recaption import variants

log = logging.getLogger(__name__)

OUT = DATA / "index.json"
HELD = ("key", "status", "value", digest_of("image"))
"""What of a row is held against the item store."""


def contents(study: Study) -> dict[Path, str]:
    """The digest of each shard of the study."""
    files = sorted(path for stage, entry in study.stages() for path in stage.folder(entry).rglob("*.parquet"))
    return {path: digest(path.read_bytes()) for path in files}


def outputs_digest(shards: Mapping[Path, str]) -> str:
    """One digest of all that was indexed, so that the report is built again when any value changes."""
    return digest(canonical([[str(path), content] for path, content in shards.items()]).encode())


def unchanged(store: ItemStore, shards: Mapping[Path, str], there: Collection[str]) -> set[Path]:
    """The shards that were indexed as they are; none where an object is not ``there`` any more."""
    with store.engine.connect() as connection:
        objects = connection.scalars(select(schema.Item.object).where(schema.Item.object.is_not(None)).distinct())
        if set(objects) - set(there):
            return set()
        indexed = connection.execute(select(schema.Indexed.path, schema.Indexed.digest))
        known = {row.path: row.digest for row in indexed}
    return {path for path, content in shards.items() if known.get(str(path)) == content}


def remember_all(
    store: ItemStore, stage: str, kind: str, folder: Path, there: Collection[str], known_whole: Collection[Path] = ()
) -> None:
    """Give the item store what it lacks of one output: items with their values, images, parents and executions.

    ``there`` are the addresses of the objects that it has, ``known_whole`` the shards of which it has everything.

    Raises ``ValueError`` where the output holds other values than the item store under the same keys.
    """
    shards = [path for path in sorted(folder.rglob("*.parquet")) if path not in known_whole]
    provenance = read_provenance(stage) if shards else {}
    opened = set()
    for path in shards:
        held = {row["key"]: row for row in DISK.read(path, HELD)}
        for name, address in {pair for row in held.values() for pair in files_of(json.loads(row["value"])).items()}:
            if address not in there:
                store.objects.put(path.with_name(name).read_bytes())
        keys = held.keys()
        known = store.recall(keys)
        if others := sorted(key for key, one in known.items() if differs(held[key], one)):
            raise ValueError(
                f"{path} holds other values than the registry for {len(others)} of its {len(keys)} items, first "
                f"{others[0]}: two computed them at the same time, or apart. Nothing was indexed. "
                f"`dvc repro --force --single-item {stage}` takes the registry's, and `palimpsest repro` what follows."
            )
        if known.keys() == keys and all(one.object is None or one.object in there for one in known.values()):
            continue
        rows = {row["key"]: row for row in DISK.read(path)}
        unknown = rows.keys() - known.keys()
        for key, one in known.items():
            if one.object is not None and one.object not in there and rows[key]["image"]:
                store.objects.put(rows[key]["image"]["bytes"])
        by_run = defaultdict(list)
        for key in sorted(unknown):
            row = rows[key]
            data = row["image"] and row["image"]["bytes"] if "image" in row else None
            value = json.loads(row["value"])
            parts = json.loads(row["parts"])
            run = provenance[key]
            if run.id not in opened:
                store.open_run(run)
                opened.add(run.id)
            by_run[run.id].append(
                Finding(key, row.get("kind") or kind, parts, tuple(row["parents"]), value, data, row["reason"])
            )
        for run_id, findings in by_run.items():
            store.remember(run_id, findings)


def differs(row: Mapping[str, Any], known: Known) -> bool:
    """Whether a row of an output holds another value, or another picture, than the item store has under its key."""
    if row["status"] == FAILED:
        return False
    value, picture = digest(row["value"].encode("utf-8", "surrogatepass")), row.get(digest_of("image"))
    return value != (known.digest or value_digest(known.value)) or picture not in (None, known.object)


def check_whole(study: Study) -> None:
    """Check that every output is complete, for what is missing would be lost to all, and that none is damaged.

    Raises ``FileNotFoundError`` where something is missing, ``ValueError`` where an output is not what ``dvc.lock``
    says; a stage that DVC has not run yet has nothing to be held against.
    """
    locked = lock()
    for stage, entry in study.stages():
        folder, name = stage.folder(entry), stage.addressed(entry)
        for output in differing(locked[name]) if name in locked else ():
            raise ValueError(
                f"{output} is not what dvc.lock says {name} made: it was damaged or changed afterwards, or is still to "
                "be checked out. Delete it and run `palimpsest repro`; `palimpsest doctor --full` says what else is so."
            )
        made = read_provenance(name)
        there = {row["key"] for path in folder.rglob("*.parquet") for row in DISK.read(path, ("key",))}
        if not folder.is_dir() or made.keys() - there:
            raise FileNotFoundError(
                f"{folder} is not there as {name} made it, and whoever uses this registry would lose what is missing; "
                "run `dvc pull` or `palimpsest repro` first."
            )


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


def log_cells(study: Study, store: ItemStore) -> None:
    """Log one MLflow run a finished cell, with all its metrics and a contact sheet."""
    tracker = Tracker(stages_of(study.study), study.study, "index", cells=study.study)
    with store.engine.connect() as connection:
        means = cell_means(connection, study.study)
        shown = examples(connection, study.study, EXAMPLES_A_CELL)
    cells = []
    for where, found in sorted(shown.items(), key=lambda pair: str(pair[0])):
        axes = {axis: name or NONE for axis, name in {"corpus": where.corpus, **where.named()}.items()}
        picture = Where(corpus=where.corpus, **{axis: getattr(where, axis) for axis in GRID})
        metrics = means.get(picture, {}) | means.get(where, {})
        cells.append(CellLog(axes, metrics, found, partial(drawn, store.objects, found)))
    params = study.model_dump()  # as written, for MLflow takes no names of variants
    tracker.finish(params, {"cells": len(cells)}, cells)
    had = {metric for cell in cells for metric in cell.metrics}
    inside = [name for name in columns_of(declared().values()) if not name.endswith(("_outside", "_whole"))]
    share_view(
        tracker.client, tracker.cells, [*cells[0].axes] if cells else ["corpus"], [m for m in inside if m in had]
    )


def save_links(study: Study, engine: Engine) -> None:
    """Keep with the study where MLflow compares its cells: all of them, and those of each corpus."""
    links = comparison_links(study.study)
    with engine.begin() as connection:
        connection.execute(update(schema.Study).where(schema.Study.name == study.study).values(links=links))


def lines_of(objects: ObjectStore, found: Sequence[Example]) -> list[Line]:
    """Original, degraded and repainted pictures with the captions before and after."""
    lines: list[Line] = []
    for example in found:
        try:
            pictures = [objects.get(d) for d in (example.original, example.degraded, example.repainted) if d]
        except (FileNotFoundError, ValueError) as error:
            log.warning("index: %s Its line is left out of contact sheets.", error)
            continue
        changed = [f"after: {example.caption}"] if example.repainted else []
        texts = [f"before: {example.caption_before}", *changed, f"reference: {example.reference}"]
        lines.append((example.sample, pictures, texts))
    return lines


def drawn(objects: ObjectStore, found: Sequence[Example]) -> dict[str, bytes]:
    """Draw the contact sheet of a cell, as a file of its run."""
    titles = ["original", "degraded", "repainted"] if found[0].repainted else ["original"]
    lines = lines_of(objects, found)
    return {SHEET: contact_sheet([*titles, "captions"], lines)} if lines else {}


def sync(everything: bool = True) -> dict[str, int]:
    """Bring the registry to the stage outputs in this checkout, and return how many items of each kind it places.

    Unless ``everything`` is to be read, shards that were indexed as they are, are not.

    Raises ``FileNotFoundError`` or ``ValueError``, before anything is written, where an output is not whole, and
    ``ValueError`` where one holds other values than the registry.
    """
    study = read_study()
    check_whole(study)
    store = ItemStore(connect(places.registry_url()), ObjectStore(places.objects_url()))
    there, shards = store.objects.sizes(), contents(study)
    same = set() if everything else unchanged(store, shards, there)
    for stage, entry in study.stages():
        remember_all(store, stage.addressed(entry), stage.kind_of(entry), stage.folder(entry), there, same)
    counts = Counter[str]()
    with store.engine.begin() as connection:
        index = Index(connection, study.axes())
        for name, settings in study.entries("corpora").items():
            index_corpus(index, name, settings)
        for name, settings in study.entries("prompts").items():
            index_prompts(index, name, settings)
        for section in ROLES:
            for name, settings in study.variants(section).items():
                adapted = Adapted(name, settings, section, study.models)
                index.model(section, name, adapted.identity | adapted.counted)
        for entry in study.entries("recaptioners"):
            for name, method in variants(study, entry).items():
                index.model("recaptioners", name, method.identity)
        for entry in study.entries("training"):
            for name, training in trainings_of(study, entry).items():
                index.model("training", name, training.identity)
        index.metrics(metric.record() for metric in declared().values())
        for stage, entry in study.stages():
            counts[stage.kind_of(entry)] += index_items(index, stage, entry, shards, same)
        index.study(study.study, study.params())
        publish(connection)
    return dict(counts)


def main() -> None:
    """Index the study's outputs."""
    counts = sync(everything=False)
    study = read_study()
    store = ItemStore(connect(places.registry_url()), ObjectStore(places.objects_url()))
    log_cells(study, store)
    save_links(study, store.engine)
    content = {"study": study.study, "items": counts, "outputs": outputs_digest(contents(study))}
    OUT.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    command(main)
