"""What an ID names, and its lineage.

==================================================  ================================================================
ID                                                  what is traced
==================================================  ================================================================
``1f0c…`` (a key, or a unique beginning of one)     an item; also the digest of its picture, or a beginning of that
``1f0c…:lpips`` or ``1f0c…:lpips@region``           a measurement by an item, and the item
``scenes/centre-mask/telea/blip``                   a report cell: CORPUS/DEGRADATION/INPAINTER/CAPTIONER
``scenes/centre-mask/telea/none/lpips@region``      a metric in a cell; ``none`` is an axis that does not apply
``inpaint@telea``                                   what a DVC stage has computed
``data/inpaint/telea``, ``…/part-00.parquet``       a stage's output, or one shard of it
``picture.png``                                     the item whose picture has exactly these bytes
``report``, ``data/index.json``                     a stage without items, or its output: what ``dvc.lock`` says of it
==================================================  ================================================================
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, or_, select

from registry.lineage.groups import (
    Group,
    StudyCell,
    cell_group,
    keys_group,
    nearest,
    read_keys,
    stage_group,
    study_cells,
)
from registry.lineage.locks import Locked, Output, lock, output_of, outputs_at
from registry.lineage.text import SHORT
from registry.lineage.walk import Trace, numbers_of, trace_item
from registry.store import places
from registry.store.database import migrate_when_behind
from registry.store.items import begins
from registry.store.schema import Item, Run

HEX = re.compile(r"[0-9a-f]{4,64}")
LIKE_A_KEY = re.compile(r"[0-9a-fA-F]{4,}")


def trace(engine: Engine, id: str) -> Trace | Group | Output:
    """The lineage of what an ID names: of one item, or of a group of items with one of them as an example.

    For a stage that computes no items, or its output, it is what ``dvc.lock`` says of the stage.

    Raises ``ValueError`` with the nearest known names where the ID names nothing, or more than one thing.
    """
    migrate_when_behind(engine)
    with engine.connect() as connection:
        key, _, asked = id.partition(":")
        if HEX.fullmatch(key):
            return traced_item(connection, key, asked)
        locked = lock()
        written = any(id.rstrip("/") in stage.outputs for stage in locked.values())  # perhaps, but not pulled
        if written or (id and os.path.lexists(id)):
            return traced_file(connection, Path(id), locked)
        cells = study_cells(connection)
        if found := named_cell(cells, id):
            cell, metric = found
            return cell_group(connection, cell, *split_metric(metric))
        if computed := stage_group(connection, id):
            return computed
        if id in locked:
            return output_of(id, locked, id)
        stages = connection.scalars(select(Run.stage).distinct())
        outputs = (out for stage in locked.values() for out in stage.outputs)
        known = nearest(id, [*stages, *locked, *outputs, *(cell.name for cell in cells)])
    if LIKE_A_KEY.fullmatch(key):
        raise ValueError(
            f"{id!r} looks like a key, and has {len(key)} digits: a key is 64 hex digits in lower case, or the first "
            "few of them, at least 4."
        )
    raise ValueError(
        f"{id!r} names no item, cell, stage or file here; {known} `palimpsest trace --help` lists what can be named."
    )


def split_metric(text: str) -> tuple[str | None, str | None]:
    """The metric and the region in METRIC[@REGION].

    >>> split_metric("lpips@region"), split_metric("cider"), split_metric("")
    (('lpips', 'region'), ('cider', None), (None, None))
    """
    metric, _, region = text.partition("@")
    return metric or None, region or None


def traced_item(connection: Connection, key: str, asked: str) -> Trace:
    """The item whose key or picture begins so, with what it measured of the metric asked for."""
    item = item_of(connection, key)
    if not asked:
        return trace_item(connection, item, numbers=[n for n in numbers_of(connection, item) if n.layer is None])
    found = numbers_of(connection, item, *split_metric(asked))
    if not found:
        known = numbers_of(connection, item)
        metrics = {n.metric for n in known} | {f"{n.metric}@{n.region}" for n in known if n.region}
        raise ValueError(f"Item {key[:SHORT]} has no measurement {asked!r}; {nearest(asked, metrics)}")
    return trace_item(connection, item, numbers=found)


def item_of(connection: Connection, key: str) -> int:
    """The row id of the one item whose key or picture's digest begins so."""
    columns = (Item.id, Item.key, Item.kind)
    found = connection.execute(select(*columns).where(or_(begins(Item.key, key), begins(Item.object, key))).limit(4))
    rows = found.all()
    if len(rows) == 1:
        return rows[0].id
    if not rows:
        before = select(Item.key).where(Item.key < key).order_by(Item.key.desc()).limit(1)
        behind = select(Item.key).where(Item.key > key).order_by(Item.key).limit(1)
        near = [row[:SHORT] for asked in (before, behind) for row in connection.scalars(asked)]
        known = f"the nearest keys are {' and '.join(near)}." if near else "it holds none yet."
        raise ValueError(f"The registry has no item or picture whose digest begins with {key!r}; {known}")
    raise ValueError(
        f"{key!r} begins the digest of more than one item or picture: {several(rows)}; take one of these keys."
    )


def several(rows: Sequence[Any]) -> str:
    """The first three items, for a choice between them."""
    return ", ".join(f"{row.kind} {row.key[:SHORT]}" for row in rows[:3]) + ", …" * (len(rows) > 3)


def traced_file(connection: Connection, path: Path, stages: Mapping[str, Locked]) -> Trace | Group | Output:
    """A shard or an output's folder of them by the keys in it, a picture by its bytes; any other output by its stage.

    Raises ``ValueError`` where it is none of these.
    """
    outputs = outputs_at(path, stages)
    if keys := [key for shard in shards(path, outputs) for key in read_keys(shard)]:
        return keys_group(connection, path, keys)
    if path.is_file() and (found := pictured(connection, path)):
        return found
    makers = sorted(set(outputs.values()))
    if len(makers) > 1:
        raise ValueError(f"{path} holds what {len(makers)} stages wrote; name one, such as {min(outputs)}.")
    if makers:
        return output_of(str(path), stages, makers[0])
    raise ValueError(
        f"{path} is no output of this checkout's stages, no shard with a column of keys and no item's picture; give an "
        "output, such as data/caption, or one of its files."
    )


def shards(path: Path, outputs: Mapping[str, str]) -> list[Path]:
    """A shard itself; of a folder those that lie in outputs, so that no other folder is searched."""
    if not path.is_dir():
        return [path] * (path.suffix == ".parquet")
    found = (shard for out in outputs for shard in (places.root() / out).rglob("*.parquet"))
    return sorted(shard for shard in found if shard.parent.resolve().is_relative_to(path.resolve()))


def pictured(connection: Connection, path: Path) -> Trace | None:
    """The item whose picture has the bytes of a file; raises ``ValueError`` for several, and for what none can read."""
    try:
        with path.open("rb") as file:
            address = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from None
    items = connection.execute(select(Item.id, Item.key, Item.kind).where(Item.object == address).limit(4)).all()
    if not items:
        return None
    if len(items) > 1:
        raise ValueError(f"More than one item has the bytes of {path}: {several(items)}; take one of these keys.")
    return trace_item(connection, items[0].id)


def named_cell(cells: list[StudyCell], id: str) -> tuple[StudyCell, str] | None:
    """The cell that an ID names, with the rest behind it; ``STUDY:`` before it tells studies apart."""
    named: dict[str, dict[int, StudyCell]] = {}
    for cell in cells:
        for name in (cell.name, f"{cell.study}:{cell.name}"):
            named.setdefault(name, {})[cell.configuration_id] = cell
    fitting = [name for name in named if id == name or id.startswith(f"{name}/")]
    if not fitting:
        return None
    name = max(fitting, key=len)
    found = list(named[name].values())
    if len(found) > 1:
        studies = " or ".join(f"{cell.study}:{cell.name}" for cell in found)
        raise ValueError(f"Several studies have different cells called {name}; name {studies}.")
    return found[0], id[len(name) + 1 :]
