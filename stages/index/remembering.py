"""What the item store lacks of the outputs: items with their values, pictures, parents and executions."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select

from registry.store import schema
from registry.store.items import FAILED, Finding, ItemStore, Known, value_digest
from registry.store.keys import digest
from stages.engine.provenance import read_provenance
from stages.engine.shards import DISK, digest_of, files_of

HELD = ("key", "status", "value", digest_of("image"))
"""What of a row is held against the item store."""


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
        gone = [key for key, one in known.items() if one.object is not None and one.object not in there]
        store.objects.put_many(rows[key]["image"]["bytes"] for key in gone if rows[key]["image"])
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
