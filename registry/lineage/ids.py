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
==================================================  ================================================================
"""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import Connection, Engine, or_, select

from registry.database import migrate_when_behind
from registry.items import begins
from registry.keys import digest
from registry.lineage.groups import Group, StudyCell, cell_group, file_group, nearest, stage_group, study_cells
from registry.lineage.walk import Trace, numbers_of, trace_item
from registry.schema import Item, Run

SHORT = 12
"""How many hex digits of a key are shown."""

HEX = re.compile(r"[0-9a-f]{4,64}")


def trace(engine: Engine, id: str) -> Trace | Group:
    """The lineage of what an ID names: of one item, or of a group of items with one of them as an example.

    Raises ``ValueError`` with the nearest known names where the ID names nothing, or more than one thing.
    """
    migrate_when_behind(engine)
    with engine.connect() as connection:
        if id and not HEX.fullmatch(id) and Path(id).exists():
            return traced_file(connection, Path(id))
        key, _, asked = id.partition(":")
        if HEX.fullmatch(key):
            return traced_item(connection, key, asked)
        cells = study_cells(connection)
        if found := named_cell(cells, id):
            cell, metric = found
            return cell_group(connection, cell, *split_metric(metric))
        if found := stage_group(connection, id):
            return found
        stages = connection.scalars(select(Run.stage).distinct())
        known = nearest(id, [*stages, *(cell.name for cell in cells)])
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
    several = ", ".join(f"{row.kind} {row.key[:SHORT]}" for row in rows[:3]) + ", …" * (len(rows) > 3)
    raise ValueError(f"{key!r} begins the digest of more than one item or picture: {several}; take one of these keys.")


def traced_file(connection: Connection, path: Path) -> Trace | Group:
    """A shard or a folder of them by the keys in it; any other file by its bytes."""
    if path.is_dir() or path.suffix == ".parquet":
        return file_group(connection, path)
    address = digest(path.read_bytes())
    items = connection.execute(select(Item.id, Item.key, Item.kind).where(Item.object == address).limit(4)).all()
    if not items:
        raise ValueError(f"No item of the registry has the bytes of {path} as its picture.")
    if len(items) > 1:
        several = ", ".join(f"{row.kind} {row.key[:SHORT]}" for row in items[:3]) + ", …" * (len(items) > 3)
        raise ValueError(f"More than one item has the bytes of {path}: {several}; take one of these keys.")
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
